# metaperturb::caffe        the framework (proto/, caffe/)
# metaperturb::metaperturb  layers and meta-solver on top of it (layers/, solvers/)

add_library(metaperturb_options INTERFACE)
target_compile_options(metaperturb_options INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;$<$<BOOL:${METAPERTURB_WERROR}>:-Werror>>")

file(GLOB_RECURSE caffe_sources CONFIGURE_DEPENDS caffe/*.cpp util/*.cpp)
file(GLOB_RECURSE caffe_gpu_sources CONFIGURE_DEPENDS caffe/*.cu)
add_library(metaperturb_caffe ${caffe_sources} ${proto_sources})
metaperturb_add_gpu_sources(metaperturb_caffe ${caffe_gpu_sources})
set_target_properties(metaperturb_caffe PROPERTIES OUTPUT_NAME metaperturb_caffe
                                                   EXPORT_NAME caffe VERSION ${PROJECT_VERSION})
add_dependencies(metaperturb_caffe metaperturb_proto)
target_compile_features(metaperturb_caffe PUBLIC cxx_std_17)
target_compile_definitions(metaperturb_caffe PUBLIC $<$<NOT:$<BOOL:${cuda_found}>>:CPU_ONLY> USE_OPENCV USE_LMDB)
target_include_directories(metaperturb_caffe
  PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<BUILD_INTERFACE:${proto_root}>
         $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/metaperturb>)
target_link_libraries(metaperturb_caffe
  PUBLIC protobuf::libprotobuf Boost::headers Threads::Threads
         $<BUILD_INTERFACE:metaperturb_glog> $<BUILD_INTERFACE:metaperturb_gflags>
         $<BUILD_INTERFACE:metaperturb_openblas>
         $<INSTALL_INTERFACE:glog> $<INSTALL_INTERFACE:gflags> $<INSTALL_INTERFACE:openblas>
  PRIVATE $<BUILD_INTERFACE:metaperturb_options> $<BUILD_INTERFACE:metaperturb_dnnl>
          $<BUILD_INTERFACE:metaperturb_lmdb> $<BUILD_INTERFACE:metaperturb_opencv>
          $<INSTALL_INTERFACE:dnnl> $<INSTALL_INTERFACE:lmdb> $<INSTALL_INTERFACE:opencv_imgcodecs>
          $<INSTALL_INTERFACE:opencv_imgproc> $<INSTALL_INTERFACE:opencv_core>
          OpenMP::OpenMP_CXX ${CMAKE_DL_LIBS})
set_source_files_properties(${proto_sources} PROPERTIES COMPILE_OPTIONS "-w"
                                                        SKIP_PRECOMPILE_HEADERS ON)
# What nearly every source includes and is long to read: a fresh build takes half the time.
set(metaperturb_long_headers <glog/logging.h> <boost/shared_ptr.hpp> <sstream> <fstream> <map> <set>
    <string> <vector> <caffe/proto/caffe.pb.h>)
string(REPLACE ">" "$<ANGLE-R>" cxx_long_headers "${metaperturb_long_headers}")
target_precompile_headers(metaperturb_caffe PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${cxx_long_headers}>")

# Kernels that exist once per vector instruction set; layers/metaperturb_kernels.cpp chooses at run time.
include(cmake/simd.cmake)

file(GLOB plugin_sources CONFIGURE_DEPENDS layers/*.cpp solvers/*.cpp)
file(GLOB plugin_gpu_sources CONFIGURE_DEPENDS layers/*.cu)
add_library(metaperturb ${plugin_sources})
metaperturb_add_gpu_sources(metaperturb ${plugin_gpu_sources})
set_target_properties(metaperturb PROPERTIES EXPORT_NAME metaperturb VERSION ${PROJECT_VERSION})
target_compile_definitions(metaperturb PUBLIC METAPERTURB_HAS_FIELD  # metaperturb_param in caffe.proto
                                              METAPERTURB_GPU_HALVES)
target_link_libraries(metaperturb PUBLIC metaperturb_caffe
                                  PRIVATE $<BUILD_INTERFACE:metaperturb_options> OpenMP::OpenMP_CXX)

# Layers register themselves in static objects, which a linker drops from libraries that nothing else
# of a program refers to: shared ones are linked regardless, static ones whole.
foreach(library metaperturb_caffe metaperturb)
  if(BUILD_SHARED_LIBS)
    target_link_options(${library} INTERFACE -Wl,--no-as-needed)
  else()
    string(REGEX REPLACE "^metaperturb_" "" name ${library})  # under which it is installed
    target_link_options(${library} INTERFACE
      "LINKER:--whole-archive,$<TARGET_FILE:metaperturb::${name}>,--no-whole-archive")
  endif()
endforeach()
add_library(metaperturb::caffe ALIAS metaperturb_caffe)
add_library(metaperturb::metaperturb ALIAS metaperturb)
