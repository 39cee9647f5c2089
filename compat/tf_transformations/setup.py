from setuptools import setup

package_name = "tf_transformations"

setup(
    name=package_name,
    version="1.1.1",
    packages=[package_name],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["numpy", "transforms3d"],
    zip_safe=True,
    maintainer="dexgrasp maintainers",
    maintainer_email="dexgrasp@example.org",
    description="Functions of ROS 2's tf_transformations, for machines without it.",
    license="Apache-2.0",
)
