# What the libraries stand on; every name is a Debian package's.
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Protobuf REQUIRED)
find_package(Boost REQUIRED)

find_package(MPI COMPONENTS CXX)  # without it, meta-training runs in one process
include(cmake/find.cmake)
metaperturb_find(glog glog/logging.h glog libgoogle-glog-dev)
metaperturb_find(gflags gflags/gflags.h gflags libgflags-dev)
metaperturb_find(dnnl dnnl.hpp dnnl libdnnl-dev)
metaperturb_find(openblas cblas.h openblas libopenblas-dev)
metaperturb_find(lmdb lmdb.h lmdb liblmdb-dev)
# Debian's packages of single OpenCV modules have no CMake files.
foreach(module core imgproc imgcodecs)
  metaperturb_find(opencv_${module} opencv2/${module}.hpp opencv_${module} libopencv-${module}-dev)
endforeach()
add_library(metaperturb_opencv INTERFACE)
target_link_libraries(metaperturb_opencv INTERFACE
  metaperturb_opencv_core metaperturb_opencv_imgproc metaperturb_opencv_imgcodecs)
