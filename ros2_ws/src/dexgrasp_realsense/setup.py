from setuptools import find_packages, setup

package_name = "dexgrasp_realsense"

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
        "pyrealsense2",
    ],
    zip_safe=True,
    maintainer="dexgrasp maintainers",
    maintainer_email="dexgrasp@example.org",
    description="RealSense cameras, or their recordings, on the topics of the graph.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["realsense_node = dexgrasp_realsense.realsense_node:run"]},
)
