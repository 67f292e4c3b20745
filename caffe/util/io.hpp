#ifndef CAFFE_UTIL_IO_H_
#define CAFFE_UTIL_IO_H_

#include <google/protobuf/message.h>

#include <string>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

using ::google::protobuf::Message;

// Messages in files. The functions that return bool do so for compatibility; like the others they
// throw caffe::Error: "net.prototxt:12:3: ..." for text that does not parse, "FILE: ..." for a
// missing, unreadable or truncated file. A byte order mark before a text is skipped. Writing goes
// to a temporary file beside the target that is renamed when everything is on the disk: a target is
// there whole, or as it was before. Devices and pipes are written into.
bool ReadProtoFromTextFile(const string& filename, Message* proto);
bool ReadProtoFromBinaryFile(const string& filename, Message* proto);
inline void ReadProtoFromTextFileOrDie(const string& filename, Message* proto) {
  ReadProtoFromTextFile(filename, proto);
}
inline void ReadProtoFromBinaryFileOrDie(const string& filename, Message* proto) {
  ReadProtoFromBinaryFile(filename, proto);
}
void WriteProtoToTextFile(const Message& proto, const string& filename);
void WriteProtoToBinaryFile(const Message& proto, const string& filename);

/// A new directory of its own (file name in it) below the system's directory for temporary files.
void MakeTempDir(string* temp_dirname);
void MakeTempFilename(string* temp_filename);

// Images, by OpenCV. height and width 0 keep the image's size. `encoding` ("jpg", "png") keeps the
// image compressed in the Datum. They return false where the image cannot be read or decoded.
bool ReadFileToDatum(const string& filename, int label, Datum* datum);
inline bool ReadFileToDatum(const string& filename, Datum* datum) {
  return ReadFileToDatum(filename, -1, datum);
}
bool ReadImageToDatum(const string& filename, int label, int height, int width, bool is_color,
                      const string& encoding, Datum* datum);
inline bool ReadImageToDatum(const string& filename, int label, int height, int width,
                             bool is_color, Datum* datum) {
  return ReadImageToDatum(filename, label, height, width, is_color, "", datum);
}
inline bool ReadImageToDatum(const string& filename, int label, int height, int width,
                             Datum* datum) {
  return ReadImageToDatum(filename, label, height, width, true, datum);
}
inline bool ReadImageToDatum(const string& filename, int label, bool is_color, Datum* datum) {
  return ReadImageToDatum(filename, label, 0, 0, is_color, datum);
}
inline bool ReadImageToDatum(const string& filename, int label, Datum* datum) {
  return ReadImageToDatum(filename, label, 0, 0, true, datum);
}
inline bool ReadImageToDatum(const string& filename, int label, const string& encoding,
                             Datum* datum) {
  return ReadImageToDatum(filename, label, 0, 0, true, encoding, datum);
}
/// Replaces an encoded image by its bytes; false when the Datum is not encoded.
bool DecodeDatumNative(Datum* datum);
bool DecodeDatum(Datum* datum, bool is_color);

/// Beyond Caffe's API: what is wrong with the file of an image that could not be read or decoded,
/// as the end of a sentence: "cannot be read: No such file or directory".
string WhyNoImage(const string& filename);

#ifdef USE_OPENCV
/// Beyond Caffe's API: decodes an image file's bytes as cv::imdecode does; an empty Mat where they
/// are no image, or not all of one (a JPEG that ends early, which libjpeg would make up).
cv::Mat TryDecode(const string& bytes, int flags);
/// An empty Mat when the image cannot be read.
cv::Mat ReadImageToCVMat(const string& filename, int height, int width, bool is_color);
cv::Mat ReadImageToCVMat(const string& filename, int height, int width);
cv::Mat ReadImageToCVMat(const string& filename, bool is_color);
cv::Mat ReadImageToCVMat(const string& filename);
/// Throw caffe::Error when the bytes are not an image.
cv::Mat DecodeDatumToCVMatNative(const Datum& datum);
cv::Mat DecodeDatumToCVMat(const Datum& datum, bool is_color);
void CVMatToDatum(const cv::Mat& cv_img, Datum* datum);
#endif

}  // namespace caffe

#endif  // CAFFE_UTIL_IO_H_
