from setuptools import find_packages, setup

package_name = "dexgrasp_sim"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=[
        "gymnasium",
        "imageio",
        "mujoco",
        "numpy",
        "opencv-python-headless",
        "rsl-rl-lib",
        "safetensors",
        "scipy",
        "tensordict",
        "torch",
        "trimesh",
    ],
    zip_safe=True,
    maintainer="dexgrasp maintainers",
    maintainer_email="dexgrasp@example.org",
    description="Simulators behind one interface, their cameras, and tasks and learning on them.",
    license="Apache-2.0",
)
