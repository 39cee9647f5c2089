from setuptools import find_packages, setup

package_name = "dexgrasp_viewer"

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
        "opencv-python-headless",
        "trimesh",
        "viser",
    ],
    zip_safe=True,
    maintainer="dexgrasp maintainers",
    maintainer_email="dexgrasp@example.org",
    description="The grasping scene in a browser, from the graph's own topics.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["viewer_node = dexgrasp_viewer.viewer_node:run"]},
)
