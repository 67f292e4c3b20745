// Built only into a plugin for a Caffe of the user's own.
#ifdef METAPERTURB_FOREIGN_HOST

#include "layers/host_foreign.hpp"

#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/text_format.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <exception>
#include <iostream>

#include "util/first_complaint.hpp"

namespace metaperturb {

namespace {

std::terminate_handler previous_handler;

// The stock tools catch nothing: without this a user's mistake would end them with an abort.
void ExplainAndExit() {
  try {
    const std::exception_ptr current = std::current_exception();
    if (current) std::rethrow_exception(current);
  } catch (const caffe::Error& e) {
    google::FlushLogFiles(google::INFO);
    std::cerr << "ERROR: " << e.what() << std::endl;
    _exit(1);
  } catch (...) {
  }
  previous_handler();
}

const bool installed = (previous_handler = std::set_terminate(ExplainAndExit), true);

}  // namespace

void ReadProto(const std::string& file, bool text, google::protobuf::Message* message) {
  const int descriptor = open(file.c_str(), O_RDONLY);
  ENFORCE(descriptor >= 0) << file << ": cannot be read: " << std::strerror(errno);
  google::protobuf::io::FileInputStream stream(descriptor);
  stream.SetCloseOnDelete(true);
  if (text) {
    caffe::FirstComplaint complaint;
    google::protobuf::TextFormat::Parser parser;
    parser.RecordErrorsTo(&complaint);
    ENFORCE(parser.Parse(&stream, message)) << file << ":" << complaint.text();
    return;
  }
  google::protobuf::io::CodedInputStream coded(&stream);
  coded.SetTotalBytesLimit(INT_MAX);
  ENFORCE(message->ParseFromCodedStream(&coded) && coded.ConsumedEntireMessage())
      << file << ": is damaged, or holds no " << message->GetTypeName();
}

}  // namespace metaperturb

#endif  // METAPERTURB_FOREIGN_HOST
