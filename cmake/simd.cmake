# Kernels that exist once per vector instruction set; the best one is chosen at run time.
set(simd_common -ffp-contract=fast -fno-math-errno -Wno-psabi)
# GCC 12 warns of its own AVX-512 headers.
set(simd_avx512 -Wno-uninitialized -Wno-maybe-uninitialized
  -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512)
set(simd_avx2 -mavx2 -mfma)
set(simd_generic "")
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")  # then these files are empty
  set(simd_avx512 "")
  set(simd_avx2 "")
  # With -O3 g++ 14 for aarch64 makes wrong code of these vectors, which are wider than its registers: the
  # weights' gradient in WinogradConvolutionTest.IsTheDirectSumForAnyNumberOfThreads.
  set(simd_generic $<$<NOT:$<CONFIG:Debug>>:-O2>)
endif()
foreach(isa generic avx2 avx512)
  set_source_files_properties(layers/metaperturb_kernels_${isa}.cpp
    PROPERTIES COMPILE_OPTIONS "${simd_common};${simd_${isa}}")
endforeach()
foreach(isa avx2 avx512)
  # Their vectors are explicit; of the stores of sign bits GCC would make others, bit by bit.
  set_property(SOURCE layers/metaperturb_kernels_${isa}.cpp
    APPEND PROPERTY COMPILE_OPTIONS -fno-tree-slp-vectorize)
endforeach()
foreach(isa generic avx2 avx512)
  set_source_files_properties(caffe/layers/winograd_kernels_${isa}.cpp
    PROPERTIES COMPILE_OPTIONS "${simd_common};${simd_${isa}}" SKIP_PRECOMPILE_HEADERS ON)
endforeach()
# Their vectors are passed between functions that are all inlined: no calling convention is involved.
set_source_files_properties(
  caffe/layers/depthwise_gradient.cpp caffe/util/channel_loops.cpp caffe/util/pooling_loops.cpp
  PROPERTIES COMPILE_OPTIONS "-Wno-psabi")
# Square roots in vectors, and an update that is the same with every instruction set.
set_source_files_properties(caffe/solvers/update_rules.cpp
  PROPERTIES COMPILE_OPTIONS "-fno-math-errno;-ffp-contract=off" SKIP_PRECOMPILE_HEADERS ON)
# Choices by x != 0, which GCC does not make vectors of while the comparison might trap.
set_source_files_properties(layers/information_dropout_layer.cpp
  PROPERTIES COMPILE_OPTIONS "-fno-trapping-math")
