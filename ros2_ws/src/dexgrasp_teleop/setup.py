from setuptools import find_packages, setup

package_name = "dexgrasp_teleop"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["numpy"],
    zip_safe=True,
    maintainer="dexgrasp maintainers",
    maintainer_email="dexgrasp@example.org",
    description="A person's wrist on /teleop/wrist, teleoperated or played, and a clutch.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "keyboard_clutch = dexgrasp_teleop.keyboard_clutch:run",
            "teleop_node = dexgrasp_teleop.teleop_node:run",
            "wrist_player_node = dexgrasp_teleop.wrist_player_node:run",
        ]
    },
)
