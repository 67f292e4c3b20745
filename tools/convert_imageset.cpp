// convert_imageset: images in a folder, listed with their labels -> LMDB.
//   convert_imageset [FLAGS] ROOTFOLDER/ LISTFILE DB_NAME
// LISTFILE has lines "path label", paths below ROOTFOLDER. Keys are "00000000_path", ...

#include <algorithm>
#include <filesystem>

#include "caffe/util/image_list.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/rng.hpp"
#include "tools/common/dataset_writer.hpp"

DEFINE_bool(gray, false, "Read the images as gray ones");
DEFINE_bool(shuffle, false, "Write them in random order");
DEFINE_int32(seed, 1, "Of the random order");
DEFINE_string(backend, "lmdb", "Kind of database: lmdb");
DEFINE_int32(resize_width, 0, "Width to resize to; 0: as it is");
DEFINE_int32(resize_height, 0, "Height to resize to; 0: as it is");
DEFINE_bool(check_size, false, "Insist on all images having one size");
DEFINE_bool(encoded, false, "Store the images compressed");
DEFINE_string(encode_type, "", "jpg, png, ...: how to compress; default: as the file's name says");
DEFINE_int32(pad, 0, "Zero pixels to add on each side, after resizing");

namespace {

std::string EncodingOf(const std::string& path) {
  if (!FLAGS_encoded && FLAGS_encode_type.empty()) return "";
  if (!FLAGS_encode_type.empty()) return FLAGS_encode_type;
  const std::string extension = std::filesystem::path(path).extension().string();
  ENFORCE(extension.size() > 1) << "'" << path << "' has no extension; give --encode_type";
  return extension.substr(1);
}

caffe::Datum Read(const std::string& root, const std::string& list,
                  const caffe::ListedImage& image) {
  caffe::Datum datum;
  const std::string path = root + image.path;
  bool read = false;
  try {
    read = caffe::ReadImageToDatum(path, image.label, FLAGS_resize_height, FLAGS_resize_width,
                                   !FLAGS_gray, EncodingOf(image.path), &datum);
  } catch (const caffe::Error& e) {
    THROW_ERROR << list << ":" << image.line << ": " << e.what();
  }
  ENFORCE(read) << list << ":" << image.line << ": image '" << path << "' "
                << caffe::WhyNoImage(path);
  metaperturb::Pad(FLAGS_pad, &datum);
  return datum;
}

void Convert(std::string root, const std::string& list, const std::string& output) {
  ENFORCE(FLAGS_backend == "lmdb") << "--backend=" << FLAGS_backend << ": only lmdb is supported";
  ENFORCE(FLAGS_resize_width >= 0 && FLAGS_resize_height >= 0 &&
          (FLAGS_resize_width > 0) == (FLAGS_resize_height > 0))
      << "--resize_width=" << FLAGS_resize_width << " and --resize_height=" << FLAGS_resize_height
      << ": give both or none";
  ENFORCE(std::max(FLAGS_resize_width, FLAGS_resize_height) <= metaperturb::kMaxExtent)
      << "--resize_width=" << FLAGS_resize_width << " and --resize_height=" << FLAGS_resize_height
      << ": must not exceed " << metaperturb::kMaxExtent;
  ENFORCE(FLAGS_pad >= 0) << "--pad=" << FLAGS_pad << " is negative";
  const bool encoded = FLAGS_encoded || !FLAGS_encode_type.empty();
  ENFORCE(!encoded || FLAGS_pad == 0) << "--pad does not go with --encoded";
  ENFORCE(!encoded || !FLAGS_check_size) << "--check_size does not go with --encoded";
  if (!root.empty() && root.back() != '/') root += '/';
  auto images = caffe::ReadImageList(list);
  if (FLAGS_shuffle) {
    caffe::PhiloxEngine engine(caffe::PhiloxKey(static_cast<uint64_t>(FLAGS_seed), 0));
    caffe::shuffle(images.begin(), images.end(), &engine);
  }
  LOG(INFO) << "A total of " << images.size() << " images.";
  caffe::Datum first;
  metaperturb::WriteLmdb(
      output, static_cast<int>(images.size()),
      [&](int i) {
        const caffe::Datum datum = Read(root, list, images[i]);
        if (FLAGS_check_size && i == 0) first = datum;
        ENFORCE(!FLAGS_check_size ||
                (datum.height() == first.height() && datum.width() == first.width()))
            << list << ":" << images[i].line << ": image '" << root + images[i].path << "' is "
            << datum.height() << "x" << datum.width() << " where the first is " << first.height()
            << "x" << first.width();
        return datum;
      },
      1000, [&](int i) { return images[i].path; });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    gflags::SetUsageMessage(
        "Converts listed images to LMDB: convert_imageset [FLAGS] ROOTFOLDER/ LISTFILE DB_NAME");
    caffe::GlobalInit(&argc, &argv);
    ENFORCE(argc == 4) << "ROOTFOLDER/ LISTFILE DB_NAME are expected (see --help)";
    Convert(argv[1], argv[2], argv[3]);
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "ERROR: " << e.what() << std::endl;
    return 1;
  }
}
