# -DMETAPERTURB_HOST=DIR: the plugin for a Caffe of the user's own, a built source tree or an
# installed one. Builds lib/libmetaperturb.so (layers/, solvers/, util/), to be preloaded by the
# host's tools, and bin/metaperturb on top of the host's libcaffe. Of caffe/ only what starts kernels
# is used.

if(METAPERTURB_BENCH)
  message(FATAL_ERROR "METAPERTURB_BENCH: the benchmarks are for the project's own Caffe, without METAPERTURB_HOST")
endif()
get_filename_component(host ${METAPERTURB_HOST} ABSOLUTE)
set(host_places ${host} ${host}/build ${host}/distribute ${host}/.build_release)

function(find_in_host result what)
  set(patterns ${ARGN})
  foreach(place ${host_places})
    foreach(pattern ${patterns})
      if(EXISTS ${place}/${pattern})
        set(${result} ${place}/${pattern} PARENT_SCOPE)
        return()
      endif()
    endforeach()
  endforeach()
  message(FATAL_ERROR "METAPERTURB_HOST=${METAPERTURB_HOST}: no ${what} (${patterns}) there, nor in its build folders")
endfunction()

find_in_host(host_header "Caffe headers" include/caffe/caffe.hpp)
find_in_host(host_pb_header "generated caffe.pb.h" include/caffe/proto/caffe.pb.h src/caffe/proto/caffe.pb.h)
find_in_host(host_library "libcaffe.so" lib/libcaffe.so lib64/libcaffe.so lib/x86_64-linux-gnu/libcaffe.so)
find_in_host(host_proto "caffe.proto" src/caffe/proto/caffe.proto include/caffe/proto/caffe.proto
             share/caffe/caffe.proto)
get_filename_component(host_include ${host_header}/../.. ABSOLUTE)
get_filename_component(host_pb_include ${host_pb_header}/../../.. ABSOLUTE)
get_filename_component(host_pb_folder ${host_pb_header}/.. ABSOLUTE)
get_filename_component(host_proto_folder ${host_proto}/.. ABSOLUTE)

# A host that took metaperturb_param, or the regularisers' fields, into its caffe.proto has these
# messages compiled in.
file(STRINGS ${host_pb_header} host_field REGEX "metaperturb_param\\(\\) const")
file(STRINGS ${host_pb_header} host_regularizers REGEX "dropblock_param\\(\\) const")
# One built with CUDA declares its GPU parts unless it is told not to. The CUDA runtime may be linked
# into it, cuBLAS is a library of its own.
file(STRINGS ${host_library} host_cuda REGEX "^libcu(dart|blas)\\.so" LIMIT_COUNT 1)

find_package(Protobuf REQUIRED)
find_package(Boost REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(MPI COMPONENTS CXX)
include(cmake/find.cmake)
metaperturb_find(glog glog/logging.h glog libgoogle-glog-dev)
metaperturb_find(gflags gflags/gflags.h gflags libgflags-dev)
metaperturb_find(openblas cblas.h openblas libopenblas-dev)  # Caffe's own headers include cblas.h
if(host_cuda)
  find_package(CUDAToolkit REQUIRED)  # Caffe's own headers include cublas_v2.h
else()
  if(METAPERTURB_CUDA AND NOT METAPERTURB_CUDA STREQUAL AUTO)
    message(FATAL_ERROR "METAPERTURB_CUDA=${METAPERTURB_CUDA}: the Caffe in ${METAPERTURB_HOST} was built without CUDA")
  endif()
  set(METAPERTURB_CUDA OFF)
endif()
include(cmake/cuda.cmake)

# The host registers its messages as "caffe.proto".
set(proto_root ${PROJECT_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${proto_root}/caffe/proto)
file(READ proto/meta_solver.proto text)
string(REPLACE "caffe/proto/caffe.proto" "caffe.proto" text "${text}")
file(CONFIGURE OUTPUT ${proto_root}/caffe/proto/meta_solver.proto CONTENT "${text}" @ONLY)
set(proto_files ${proto_root}/caffe/proto/meta_solver.proto)
set(proto_sources ${proto_root}/caffe/proto/meta_solver.pb.cc)
macro(add_message name in_host)
  if(${in_host})
    # The host's own; ours would be registered a second time.
    file(WRITE ${proto_root}/caffe/proto/${name}.pb.h "#include \"caffe/proto/caffe.pb.h\"\n")
  else()
    configure_file(proto/${name}.proto ${proto_root}/caffe/proto/${name}.proto COPYONLY)
    list(APPEND proto_files ${proto_root}/caffe/proto/${name}.proto)
    list(APPEND proto_sources ${proto_root}/caffe/proto/${name}.pb.cc)
  endif()
endmacro()
add_message(metaperturb host_field)
add_message(regularizers host_regularizers)
add_custom_command(
  OUTPUT ${proto_sources}
  COMMAND protobuf::protoc --proto_path=${proto_root} --proto_path=${host_proto_folder}
          --cpp_out=${proto_root} ${proto_files}
  DEPENDS ${proto_files} ${host_proto}
  COMMENT "Generating the plugin's messages")
add_custom_target(metaperturb_proto DEPENDS ${proto_sources})
set_source_files_properties(${proto_sources} PROPERTIES COMPILE_OPTIONS "-w")

include(cmake/simd.cmake)
file(GLOB plugin_sources CONFIGURE_DEPENDS layers/*.cpp solvers/*.cpp util/*.cpp)
add_library(metaperturb SHARED ${plugin_sources} ${proto_sources})
add_dependencies(metaperturb metaperturb_proto)
target_compile_definitions(metaperturb PUBLIC METAPERTURB_FOREIGN_HOST)
if(host_field)
  target_compile_definitions(metaperturb PUBLIC METAPERTURB_HAS_FIELD)
endif()
if(host_cuda)
  target_link_libraries(metaperturb PUBLIC CUDA::toolkit)
else()
  target_compile_definitions(metaperturb PUBLIC CPU_ONLY)
endif()
# The layers' GPU halves: for the GPU with CUDA; in a host without it for the emulated device of the
# tests. Else its GPU mode runs the layers on the CPU.
if(cuda_found OR NOT host_cuda)
  target_compile_definitions(metaperturb PUBLIC METAPERTURB_GPU_HALVES)
  target_sources(metaperturb PRIVATE caffe/util/device.cpp caffe/util/device_emulated.cpp)
  file(GLOB plugin_gpu_sources CONFIGURE_DEPENDS layers/*.cu)
  metaperturb_add_gpu_sources(metaperturb ${PROJECT_SOURCE_DIR}/caffe/util/device_cuda.cu ${plugin_gpu_sources})
endif()
# Its headers first: where both have a file of one name, the host's is meant.
target_include_directories(metaperturb SYSTEM PUBLIC ${host_include} ${host_pb_include} ${host_pb_folder})
target_include_directories(metaperturb PUBLIC ${proto_root} ${PROJECT_BINARY_DIR}/plugin)
target_compile_options(metaperturb PRIVATE
  "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;$<$<BOOL:${METAPERTURB_WERROR}>:-Werror>;$<$<CONFIG:Release>:-O3>>")
target_link_libraries(metaperturb
  PUBLIC ${host_library} protobuf::libprotobuf Boost::headers Threads::Threads metaperturb_glog
         metaperturb_gflags metaperturb_openblas
  PRIVATE OpenMP::OpenMP_CXX)

# "layers/...", "solvers/...", "util/..." and "tools/..." are found; of caffe/, which is the host's,
# only files that it does not have.
foreach(folder layers solvers util tools)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/plugin)
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${folder} ${PROJECT_BINARY_DIR}/plugin/${folder} SYMBOLIC)
endforeach()
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/plugin/caffe/util)
foreach(header channel_kernels device device_block device_lanes device_launch device_vectors device_workspace divisor
        label_kernels layer_kernels loss_normalizer)
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/caffe/util/${header}.hpp
       ${PROJECT_BINARY_DIR}/plugin/caffe/util/${header}.hpp SYMBOLIC)
endforeach()

file(GLOB tool_sources CONFIGURE_DEPENDS tools/metaperturb/*.cpp)
# Data sets are made with the tools of our own framework.
list(FILTER tool_sources EXCLUDE REGEX "/split\\.cpp$")
add_executable(metaperturb_tool ${tool_sources})
set_source_files_properties(tools/metaperturb/shipped_phi.cpp PROPERTIES
  COMPILE_DEFINITIONS "METAPERTURB_SOURCE_DIR=\"${PROJECT_SOURCE_DIR}\";METAPERTURB_TO_DATA=\"../share\"")
set_target_properties(metaperturb_tool PROPERTIES OUTPUT_NAME metaperturb)
target_compile_options(metaperturb_tool PRIVATE -Wall -Wextra
  $<$<BOOL:${METAPERTURB_WERROR}>:-Werror>)
target_link_libraries(metaperturb_tool PRIVATE metaperturb OpenMP::OpenMP_CXX)
if(MPI_CXX_FOUND)
  target_link_libraries(metaperturb_tool PRIVATE MPI::MPI_CXX)
  target_compile_definitions(metaperturb_tool PRIVATE METAPERTURB_MPI)
endif()

# The tests of the layers and the meta-solver, run inside the host, and those of tests/host.
if(METAPERTURB_TESTS)
  enable_testing()
  find_package(GTest REQUIRED)
  find_package(Boost REQUIRED COMPONENTS filesystem)  # Caffe's MakeTempDir
  include(GoogleTest)
  file(GLOB test_sources CONFIGURE_DEPENDS tests/api/*.cpp tests/host/*.cpp tests/layers/*.cpp tests/solvers/*.cpp)
  set(METAPERTURB_OWN_BUILD ${PROJECT_SOURCE_DIR}/build CACHE PATH
    "Build of our own framework that the tests exchange snapshots with")
  # What this one expects as an error, the host's own checks end the process for.
  list(FILTER test_sources EXCLUDE REGEX "test_meta_errors|_gpu\\.cpp")
  add_executable(host_tests ${test_sources})
  target_include_directories(host_tests PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(host_tests PRIVATE
    METAPERTURB_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    METAPERTURB_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}"
    METAPERTURB_PLUGIN="$<TARGET_FILE:metaperturb>"
    METAPERTURB_HOST="${host}"
    METAPERTURB_OWN_BIN="${METAPERTURB_OWN_BUILD}/bin")
  target_compile_options(host_tests PRIVATE -Wall -Wextra $<$<BOOL:${METAPERTURB_WERROR}>:-Werror>
    $<$<CONFIG:Release>:-O1>)
  target_link_libraries(host_tests PRIVATE metaperturb GTest::gtest_main Boost::filesystem
    OpenMP::OpenMP_CXX)
  add_dependencies(host_tests metaperturb_tool)
  gtest_discover_tests(host_tests DISCOVERY_TIMEOUT 60 TEST_LIST host_test_list PROPERTIES TIMEOUT 600)
  if(NOT host_cuda)
    gtest_discover_tests(host_tests DISCOVERY_TIMEOUT 60 TEST_FILTER "*Gpu.*" TEST_LIST emulated_host_tests
      TEST_PREFIX "emulated." PROPERTIES TIMEOUT 600 ENVIRONMENT METAPERTURB_GPU=emulated)
  endif()
endif()
