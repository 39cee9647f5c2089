from setuptools import find_packages, setup

package_name = "dexgrasp_perception"

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
    ],
    zip_safe=True,
    maintainer="dexgrasp maintainers",
    maintainer_email="dexgrasp@example.org",
    description="Fuses the depth cameras on request into clouds of the object and the scene.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["perception_node = dexgrasp_perception.perception_node:run"]},
)
