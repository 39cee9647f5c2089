from setuptools import find_packages, setup

package_name = "dexgrasp_counterparts"

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
        "websockets",
    ],
    zip_safe=True,
    maintainer="dexgrasp maintainers",
    maintainer_email="dexgrasp@example.org",
    description="Counterparts of the cell's devices, alone or on a simulated robot.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "cell_node = dexgrasp_counterparts.cell_node:run",
            "camera_node = dexgrasp_counterparts.camera_node:run",
            "person_node = dexgrasp_counterparts.person_node:run",
        ]
    },
)
