from setuptools import find_packages, setup

package_name = "dexgrasp_proposals"

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
        "trimesh",
    ],
    zip_safe=True,
    maintainer="dexgrasp maintainers",
    maintainer_email="dexgrasp@example.org",
    description="The /proposals/generate service: ranked grasps from the object's cloud.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["proposal_node = dexgrasp_proposals.proposal_node:run"]},
)
