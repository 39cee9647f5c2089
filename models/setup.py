from setuptools import find_packages, setup

package_name = "dexgrasp_models"

setup(
    name=package_name,
    version="0.1.0",
    description="The pure core of dexgrasp: descriptions, kinematics, perception and grasping.",
    license="Apache-2.0",
    maintainer="dexgrasp maintainers",
    maintainer_email="dexgrasp@example.org",
    python_requires=">=3.11",
    install_requires=[
        "coacd",
        "coal",
        "imageio",
        "libusb-package",
        "manifold3d",
        "numba",
        "numpy",
        "open3d",
        "opencv-python-headless",
        "pin",
        "pyyaml",
        "ruckig",
        "safetensors",
        "scipy",
        "tensorboard",
        "torch",
        "transformers",
        "transforms3d",
        "trimesh",
    ],
    packages=find_packages(include=[package_name, f"{package_name}.*"]),
    package_data={package_name: ["**/*.yaml", "weights/*.safetensors"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    zip_safe=False,
)
