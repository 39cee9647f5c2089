from setuptools import find_packages, setup

package_name = "dexgrasp_control"

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
        "torch",
    ],
    zip_safe=True,
    maintainer="dexgrasp maintainers",
    maintainer_email="dexgrasp@example.org",
    description="The /grasp action: plans and carries out a grasp within limits.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["control_node = dexgrasp_control.control_node:run"]},
)
