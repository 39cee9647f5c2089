from setuptools import find_packages, setup

package_name = "dexgrasp_leap"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=[
        "numpy",
        "scipy",
        "websockets",
    ],
    zip_safe=True,
    maintainer="dexgrasp maintainers",
    maintainer_email="dexgrasp@example.org",
    description="A person's wrist, as a Leap Motion sees it, on the topics of the graph.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["leap_node = dexgrasp_leap.leap_node:run"]},
)
