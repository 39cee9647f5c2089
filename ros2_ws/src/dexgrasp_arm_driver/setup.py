from setuptools import find_packages, setup

package_name = "dexgrasp_arm_driver"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["numpy", "ur-rtde"],
    zip_safe=True,
    maintainer="dexgrasp maintainers",
    maintainer_email="dexgrasp@example.org",
    description="The UR10e on the topics of the contract: over RTDE, or by its vendor's driver.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "arm_driver_node = dexgrasp_arm_driver.arm_driver_node:run",
            "arm_adapter_node = dexgrasp_arm_driver.adapter_node:run",
        ]
    },
)
