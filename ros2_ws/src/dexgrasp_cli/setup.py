from setuptools import find_packages, setup

package_name = "dexgrasp_cli"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=[
        "imageio",
        "imageio-ffmpeg",
        "numpy",
        "pyyaml",
        "rich",
        "scipy",
        "torch",
        "trimesh",
        "typer",
        "websockets",
    ],
    zip_safe=True,
    maintainer="dexgrasp maintainers",
    maintainer_email="dexgrasp@example.org",
    description="The dexgrasp command.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["dexgrasp = dexgrasp_cli.cli:main"]},
)
