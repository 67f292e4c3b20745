#include "tools/metaperturb/input_height.hpp"

#include <fstream>
#include <memory>

#include "caffe/util/db.hpp"
#include "util/error.hpp"

namespace metaperturb {

namespace {

// Of the first record; 0 where there is none, or it is compressed, as such images may differ.
int HeightOfRecords(const caffe::DataParameter& data) {
  if (!std::ifstream(data.source() + "/data.mdb")) return 0;
  try {
    std::unique_ptr<caffe::db::DB> database(caffe::db::GetDB(data.backend()));
    database->Open(data.source(), caffe::db::READ);
    std::unique_ptr<caffe::db::Cursor> cursor(database->NewCursor());
    cursor->SeekToFirst();
    caffe::Datum datum;
    if (!cursor->valid() || !datum.ParseFromString(cursor->value()) || datum.encoded()) return 0;
    return datum.height();
  } catch (const caffe::Error&) {  // the training will tell
    return 0;
  }
}

int HeightOf(const caffe::BlobShape& shape) {
  return shape.dim_size() == 4 ? static_cast<int>(shape.dim(2)) : 0;
}

int HeightFrom(const caffe::LayerParameter& layer) {
  if (layer.transform_param().crop_size() > 0) return layer.transform_param().crop_size();
  if (layer.type() == "Input" && layer.input_param().shape_size() > 0) {
    return HeightOf(layer.input_param().shape(0));
  }
  if (layer.type() == "DummyData" && layer.dummy_data_param().shape_size() > 0) {
    return HeightOf(layer.dummy_data_param().shape(0));
  }
  if (layer.type() == "MemoryData") return layer.memory_data_param().height();
  if (layer.type() == "ImageData") return layer.image_data_param().new_height();
  return layer.type() == "Data" ? HeightOfRecords(layer.data_param()) : 0;
}

}  // namespace

int InputHeight(const caffe::NetParameter& net) {
  for (const caffe::LayerParameter& layer : net.layer()) {
    if (layer.bottom_size() > 0) continue;
    const int height = HeightFrom(layer);
    if (height > 0) return height;
  }
  return 0;
}

}  // namespace metaperturb
