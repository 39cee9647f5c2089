from pathlib import Path

from setuptools import find_packages, setup

package_name = "dexgrasp_bringup"


def installed_tree(folder: str) -> list[tuple[str, list[str]]]:
    """The files under `folder` (a link to the repository's), to install under share/."""
    files = [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
    folders = sorted({path.parent for path in files})
    return [
        (f"share/{package_name}/{parent}", [str(path) for path in files if path.parent == parent])
        for parent in folders
    ]


setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
        *installed_tree("launch"),
        *installed_tree("config"),
    ],
    install_requires=[
        "numpy",
        "opencv-python-headless",
        "psutil",
        "pyyaml",
        "rich",
        "rosbags",
        "typer",
    ],
    zip_safe=False,
    maintainer="dexgrasp maintainers",
    maintainer_email="dexgrasp@example.org",
    description="Starts the dexgrasp graph: its description, launch files, configuration, demo.",
    license="Apache-2.0",
)
