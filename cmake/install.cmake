# `cmake --install` gives a package: find_package(metaperturb), targets metaperturb::caffe and
# metaperturb::metaperturb.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/metaperturb)
install(TARGETS metaperturb_caffe metaperturb EXPORT metaperturb-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT metaperturb-targets NAMESPACE metaperturb:: DESTINATION ${package_dir})
install(DIRECTORY caffe layers solvers util DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/metaperturb
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h")
install(DIRECTORY ${proto_root}/caffe DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/metaperturb
        FILES_MATCHING PATTERN "*.pb.h" PATTERN "*.proto")
install(FILES models/phi/tiny_imagenet_resnet20.caffemodel
        DESTINATION ${CMAKE_INSTALL_DATADIR}/metaperturb/phi)
configure_package_config_file(cmake/metaperturb-config.cmake.in
  ${PROJECT_BINARY_DIR}/metaperturb-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/metaperturb-config-version.cmake
  COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/metaperturb-config.cmake
              ${PROJECT_BINARY_DIR}/metaperturb-config-version.cmake DESTINATION ${package_dir})
