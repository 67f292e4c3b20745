# proto/*.proto -> caffe/proto/*.pb.{h,cc}: the include path that Caffe's users know.
set(proto_root ${PROJECT_BINARY_DIR}/generated)
set(proto_sources)
foreach(name caffe metaperturb regularizers meta_solver)
  set(copy ${proto_root}/caffe/proto/${name}.proto)
  configure_file(proto/${name}.proto ${copy} COPYONLY)
  list(APPEND proto_files ${copy})
  list(APPEND proto_sources ${proto_root}/caffe/proto/${name}.pb.cc)
  list(APPEND proto_headers ${proto_root}/caffe/proto/${name}.pb.h)
endforeach()
add_custom_command(
  OUTPUT ${proto_sources} ${proto_headers}
  COMMAND protobuf::protoc --proto_path=${proto_root} --cpp_out=${proto_root} ${proto_files}
  DEPENDS ${proto_files}
  COMMENT "Generating caffe/proto/*.pb.h")
add_custom_target(metaperturb_proto DEPENDS ${proto_headers})
