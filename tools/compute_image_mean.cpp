// compute_image_mean: the mean of all images of an LMDB, pixel by pixel, for
// transform_param.mean_file.
//   compute_image_mean INPUT_DB [OUTPUT.binaryproto]
// The mean of each channel, for transform_param.mean_value, goes to the log.

#include <cmath>
#include <memory>
#include <numeric>

#include "caffe/util/db.hpp"
#include "caffe/util/io.hpp"

DEFINE_string(backend, "lmdb", "Kind of database: lmdb");

namespace {

// Adds the values of the record under the cursor to `sum`, and returns it without them.
caffe::Datum Add(caffe::db::Cursor* cursor, std::vector<double>* sum) {
  caffe::Datum datum;
  ENFORCE(datum.ParseFromString(cursor->value())) << "is no Datum";
  caffe::DecodeDatumNative(&datum);
  ENFORCE(datum.channels() > 0 && datum.height() > 0 && datum.width() > 0) << "is empty";
  const size_t count = size_t(datum.channels()) * datum.height() * datum.width();
  const bool bytes = !datum.data().empty();
  ENFORCE(count == (bytes ? datum.data().size() : size_t(datum.float_data_size())))
      << "does not hold the values of its " << datum.channels() << "x" << datum.height() << "x"
      << datum.width();
  if (sum->empty()) sum->resize(count);
  ENFORCE(sum->size() == count) << "has " << count << " values where the first has " << sum->size();
  for (size_t i = 0; i < count; ++i) {
    const double value = bytes ? static_cast<uint8_t>(datum.data()[i]) : datum.float_data(int(i));
    ENFORCE(std::isfinite(value)) << "holds " << value << " (value " << i << ")";
    (*sum)[i] += value;
  }
  datum.clear_data();
  datum.clear_float_data();
  return datum;
}

void Compute(const std::string& source, const std::string& output) {
  std::unique_ptr<caffe::db::DB> db(caffe::db::GetDB(FLAGS_backend));
  db->Open(source, caffe::db::READ);
  std::unique_ptr<caffe::db::Cursor> cursor(db->NewCursor());
  ENFORCE(cursor->valid()) << source << ": the database is empty";
  std::vector<double> sum;
  caffe::Datum first;
  int count = 0;
  for (; cursor->valid(); cursor->Next()) {
    try {
      const caffe::Datum datum = Add(cursor.get(), &sum);
      if (count++ == 0) first = datum;
      ENFORCE(datum.channels() == first.channels() && datum.height() == first.height())
          << "is " << datum.channels() << "x" << datum.height() << "x" << datum.width()
          << " where the first is " << first.channels() << "x" << first.height() << "x"
          << first.width();
    } catch (const caffe::Error& e) {
      THROW_ERROR << source << ": record '" << cursor->key() << "': " << e.what();
    }
    if (count % 10000 == 0) LOG(INFO) << "Processed " << count << " files.";
  }
  if (count % 10000 != 0) LOG(INFO) << "Processed " << count << " files.";
  for (double& value : sum) value /= count;
  if (!output.empty()) {
    caffe::BlobProto mean;
    mean.set_num(1);
    mean.set_channels(first.channels());
    mean.set_height(first.height());
    mean.set_width(first.width());
    for (const double value : sum) mean.add_data(static_cast<float>(value));
    LOG(INFO) << "Write to " << output;
    caffe::WriteProtoToBinaryFile(mean, output);
  }
  const int area = first.height() * first.width();
  LOG(INFO) << "Number of channels: " << first.channels();
  for (int c = 0; c < first.channels(); ++c) {
    const auto begin = sum.begin() + size_t(c) * area;
    LOG(INFO) << "mean_value channel [" << c
              << "]: " << std::accumulate(begin, begin + area, 0.0) / area;
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    gflags::SetUsageMessage(
        "Computes the mean image of an LMDB: compute_image_mean [FLAGS] INPUT_DB [OUTPUT_FILE]");
    caffe::GlobalInit(&argc, &argv);
    ENFORCE(argc == 2 || argc == 3) << "INPUT_DB [OUTPUT_FILE] are expected (see --help)";
    Compute(argv[1], argc == 3 ? argv[2] : "");
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "ERROR: " << e.what() << std::endl;
    return 1;
  }
}
