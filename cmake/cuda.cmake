# METAPERTURB_CUDA: .cu files are compiled for NVIDIA GPUs with nvcc, and for the emulated device of
# the tests (caffe/util/device.hpp); without it as C++, for the emulated device alone. The CUDA
# runtime is linked in, cuBLAS is loaded when GPU mode needs it: CPU mode needs nothing of CUDA.
set(cuda_found FALSE)
if(METAPERTURB_CUDA)
  include(CheckLanguage)
  check_language(CUDA)
  find_package(CUDAToolkit 12 QUIET)
  if(CMAKE_CUDA_COMPILER AND CUDAToolkit_FOUND)
    set(cuda_found TRUE)
  elseif(NOT METAPERTURB_CUDA STREQUAL AUTO)
    message(FATAL_ERROR "METAPERTURB_CUDA=${METAPERTURB_CUDA}: the CUDA toolkit (12 or newer, with nvcc) was not "
            "found; -DCMAKE_CUDA_COMPILER=.../bin/nvcc names it")
  endif()
endif()

if(cuda_found)
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    execute_process(COMMAND nvidia-smi -L RESULT_VARIABLE no_gpu OUTPUT_QUIET ERROR_QUIET)
    if(no_gpu EQUAL 0)
      set(CMAKE_CUDA_ARCHITECTURES native)
    else()
      # Turing; what is newer compiles the intermediate code when it runs first, once.
      set(CMAKE_CUDA_ARCHITECTURES 75)
    endif()
  endif()
  enable_language(CUDA)
  set(CMAKE_CUDA_STANDARD 17)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  message(STATUS "GPU: CUDA ${CUDAToolkit_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}")
else()
  message(STATUS "GPU: none (no CUDA toolkit, or METAPERTURB_CUDA is OFF)")
endif()

# Adds .cu files to a library.
function(metaperturb_add_gpu_sources library)
  target_sources(${library} PRIVATE ${ARGN})
  if(cuda_found)
    target_compile_definitions(${library} PRIVATE METAPERTURB_CUDA)
    target_link_libraries(${library} PRIVATE $<BUILD_INTERFACE:CUDA::toolkit> $<BUILD_INTERFACE:CUDA::cudart_static>)
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS
      "--expt-relaxed-constexpr;-Xcompiler=-Wall,-Wextra;$<$<BOOL:${METAPERTURB_WERROR}>:-Werror=all-warnings>")
  else()
    set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-x;c++"
      SKIP_PRECOMPILE_HEADERS ON)
  endif()
endfunction()
