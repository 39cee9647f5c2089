# The machine at the robot: ROS 2 Jazzy with drivers and rviz from apt, dexgrasp built beside them.
#
#   docker build -t dexgrasp .
#   docker run --rm dexgrasp dexgrasp demo
#   docker run --rm -it --network host --privileged dexgrasp \
#       ros2 launch dexgrasp_bringup hardware.launch.py
FROM ros:jazzy

RUN apt-get update && apt-get install --yes --no-install-recommends \
        libegl1 \
        libgl1-mesa-dri \
        libusb-1.0-0 \
        python3-colcon-common-extensions \
        python3-pip \
        ros-jazzy-realsense2-camera \
        ros-jazzy-robot-state-publisher \
        ros-jazzy-rviz2 \
        ros-jazzy-ur-robot-driver \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /dexgrasp

# Before the sources, which change more often. The container has no other use, so no environment
# of its own; packages of Ubuntu that pip can't replace stay beside the pinned ones.
COPY requirements.txt .
RUN python3 -m pip install --break-system-packages --ignore-installed --no-cache-dir \
        -r requirements.txt

COPY . .
RUN . /opt/ros/jazzy/setup.sh && colcon build --cmake-args -DBUILD_TESTING=OFF

# The image's entry point sources ROS; here also what was built.
RUN sed -i 's|^exec|source /dexgrasp/install/setup.bash\nexec|' /ros_entrypoint.sh
CMD ["bash"]
