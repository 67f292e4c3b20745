#include "caffe/blob.hpp"

#include <climits>

#include "caffe/util/device.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

namespace {

vector<int> FourAxes(int num, int channels, int height, int width) {
  return {num, channels, height, width};
}

// The shape that a BlobProto states: `shape`, or the four fields of old files.
vector<int> ShapeOf(const BlobProto& proto) {
  if (proto.has_num() || proto.has_channels() || proto.has_height() || proto.has_width()) {
    return FourAxes(proto.num(), proto.channels(), proto.height(), proto.width());
  }
  vector<int> shape;
  for (int i = 0; i < proto.shape().dim_size(); ++i) {
    const int64_t dim = proto.shape().dim(i);
    ENFORCE(dim >= 0 && dim <= INT_MAX) << "blob shape: axis " << i << " has extent " << dim;
    shape.push_back(static_cast<int>(dim));
  }
  return shape;
}

string Join(const vector<int>& shape) {
  ostringstream stream;
  for (size_t i = 0; i < shape.size(); ++i) stream << (i ? "x" : "") << shape[i];
  return stream.str();
}

template <typename Dtype, class Field>
void ReadValues(const Field& field, int count, const char* what, Dtype* out) {
  ENFORCE(field.size() == count) << "blob has " << field.size() << " " << what
                                 << " values where its shape asks for " << count;
  std::copy(field.begin(), field.end(), out);
}

void WriteValues(const float* data, int count, google::protobuf::RepeatedField<float>* floats,
                 google::protobuf::RepeatedField<double>*) {
  floats->Add(data, data + count);
}

void WriteValues(const double* data, int count, google::protobuf::RepeatedField<float>*,
                 google::protobuf::RepeatedField<double>* doubles) {
  doubles->Add(data, data + count);
}

}  // namespace

template <typename Dtype>
Blob<Dtype>::Blob(int num, int channels, int height, int width) {
  Reshape(num, channels, height, width);
}

template <typename Dtype>
Blob<Dtype>::Blob(const vector<int>& shape) {
  Reshape(shape);
}

template <typename Dtype>
void Blob<Dtype>::Reshape(int num, int channels, int height, int width) {
  Reshape(FourAxes(num, channels, height, width));
}

template <typename Dtype>
void Blob<Dtype>::Reshape(const vector<int>& shape) {
  ENFORCE(shape.size() <= size_t{kMaxBlobAxes})
      << "a blob has at most " << kMaxBlobAxes << " axes; asked for " << shape.size();
  int64_t count = 1;
  for (int extent : shape) {
    ENFORCE(extent >= 0) << "blob shape " << Join(shape) << " has a negative extent";
    count *= extent;
    ENFORCE(count <= INT_MAX) << "blob shape " << Join(shape) << " exceeds " << INT_MAX
                              << " elements";
  }
  if (shape_ != shape) shape_ = shape;
  count_ = static_cast<int>(count);
  if (count_ > capacity_ || !data_) {
    capacity_ = count_;
    data_.reset(new SyncedMemory(capacity_ * sizeof(Dtype)));
    diff_.reset(new SyncedMemory(capacity_ * sizeof(Dtype)));
  }
}

template <typename Dtype>
void Blob<Dtype>::Reshape(const BlobShape& shape) {
  BlobProto proto;
  *proto.mutable_shape() = shape;
  Reshape(ShapeOf(proto));
}

template <typename Dtype>
void Blob<Dtype>::ReshapeLike(const Blob<Dtype>& other) {
  Reshape(other.shape());
}

template <typename Dtype>
string Blob<Dtype>::shape_string() const {
  ostringstream stream;
  for (int extent : shape_) stream << extent << " ";
  stream << "(" << count_ << ")";
  return stream.str();
}

template <typename Dtype>
int Blob<Dtype>::count(int start_axis, int end_axis) const {
  ENFORCE(0 <= start_axis && start_axis <= end_axis && end_axis <= num_axes())
      << "there are no axes from " << start_axis << " to " << end_axis << " in a blob of shape "
      << shape_string();
  int product = 1;
  for (int i = start_axis; i < end_axis; ++i) product *= shape_[i];
  return product;
}

template <typename Dtype>
int Blob<Dtype>::CanonicalAxisIndex(int axis_index) const {
  ENFORCE(axis_index >= -num_axes() && axis_index < num_axes())
      << "axis " << axis_index << " is out of range for a blob of shape " << Join(shape_) << " ("
      << num_axes() << " axes)";
  return axis_index < 0 ? axis_index + num_axes() : axis_index;
}

template <typename Dtype>
int Blob<Dtype>::LegacyShape(int index) const {
  ENFORCE(num_axes() <= 4) << "a blob of shape " << Join(shape_)
                           << " was given where at most 4 axes can be used";
  CHECK_GE(index, -4);
  CHECK_LT(index, 4);
  if (index >= num_axes() || index < -num_axes()) return 1;
  return shape(index);
}

template <typename Dtype>
int Blob<Dtype>::offset(int n, int c, int h, int w) const {
  CHECK_GE(n, 0);
  CHECK_LE(n, num());
  CHECK_GE(c, 0);
  CHECK_LE(c, channels());
  CHECK_GE(h, 0);
  CHECK_LE(h, height());
  CHECK_GE(w, 0);
  CHECK_LE(w, width());
  return ((n * channels() + c) * height() + h) * width() + w;
}

template <typename Dtype>
int Blob<Dtype>::offset(const vector<int>& indices) const {
  CHECK_LE(indices.size(), shape_.size());
  int offset = 0;
  for (size_t i = 0; i < shape_.size(); ++i) {
    offset *= shape_[i];
    if (i < indices.size()) {
      CHECK_GE(indices[i], 0);
      CHECK_LT(indices[i], shape_[i]);
      offset += indices[i];
    }
  }
  return offset;
}

template <typename Dtype>
void Blob<Dtype>::CopyFrom(const Blob& source, bool copy_diff, bool reshape) {
  if (&source == this) return;
  if (source.shape() != shape_ || !data_) {
    ENFORCE(reshape) << "cannot copy a blob of shape " << Join(source.shape()) << " into one of "
                     << Join(shape_);
    ReshapeLike(source);
  }
  if ((copy_diff ? diff() : data()) == (copy_diff ? source.diff() : source.data())) return;
  const bool on_gpu = Caffe::mode() == Caffe::GPU;
  const auto in_device = [&](const Dtype* from, Dtype* to) {
    Device::Get().CopyInDevice(to, from, count_ * sizeof(Dtype));
  };
  if (copy_diff && on_gpu) {
    in_device(source.gpu_diff(), overwrite_gpu_diff());
  } else if (copy_diff) {
    caffe_copy(count_, source.cpu_diff(), overwrite_cpu_diff(1));
  } else if (on_gpu) {
    in_device(source.gpu_data(), overwrite_gpu_data());
  } else {
    caffe_copy(count_, source.cpu_data(), overwrite_cpu_data(1));
  }
}

template <typename Dtype>
const Dtype* Blob<Dtype>::cpu_data() const {
  return static_cast<const Dtype*>(data()->cpu_data());
}

// A buffer from outside is as large as the blob is now.
template <typename Dtype>
void Blob<Dtype>::FitMemory() {
  const size_t size = count_ * sizeof(Dtype);
  if (data()->size() == size) return;
  data_.reset(new SyncedMemory(size));
  diff_.reset(new SyncedMemory(size));
  capacity_ = count_;
}

template <typename Dtype>
void Blob<Dtype>::set_cpu_data(Dtype* data) {
  CHECK(data);
  FitMemory();
  data_->set_cpu_data(data);
}

template <typename Dtype>
const Dtype* Blob<Dtype>::gpu_data() const {
  return static_cast<const Dtype*>(data()->gpu_data());
}

template <typename Dtype>
void Blob<Dtype>::set_gpu_data(Dtype* data) {
  CHECK(data);
  FitMemory();
  data_->set_gpu_data(data);
}

template <typename Dtype>
const Dtype* Blob<Dtype>::cpu_diff() const {
  return static_cast<const Dtype*>(diff()->cpu_data());
}

template <typename Dtype>
const Dtype* Blob<Dtype>::gpu_diff() const {
  return static_cast<const Dtype*>(diff()->gpu_data());
}

template <typename Dtype>
Dtype* Blob<Dtype>::mutable_cpu_data() {
  return static_cast<Dtype*>(data()->mutable_cpu_data());
}

template <typename Dtype>
Dtype* Blob<Dtype>::mutable_gpu_data() {
  return static_cast<Dtype*>(data()->mutable_gpu_data());
}

template <typename Dtype>
Dtype* Blob<Dtype>::mutable_cpu_diff() {
  return static_cast<Dtype*>(diff()->mutable_cpu_data());
}

template <typename Dtype>
Dtype* Blob<Dtype>::mutable_gpu_diff() {
  return static_cast<Dtype*>(diff()->mutable_gpu_data());
}

template <typename Dtype>
Dtype* Blob<Dtype>::overwrite_gpu_data() {
  return static_cast<Dtype*>(data()->overwrite_gpu_data());
}

template <typename Dtype>
Dtype* Blob<Dtype>::overwrite_gpu_diff() {
  return static_cast<Dtype*>(diff()->overwrite_gpu_data());
}

template <typename Dtype>
ChannelBlocks Blob<Dtype>::Blocks(int block) const {
  CHECK(block == 1 || sizeof(Dtype) == sizeof(float)) << "channel blocks are for float";
  ChannelBlocks layout;
  layout.block = block;
  layout.num = num_axes() > 0 ? shape_[0] : 1;
  layout.channels = num_axes() > 1 ? shape_[1] : 1;
  layout.spatial = num_axes() > 2 ? count(2) : 1;
  return layout;
}

// A blocked pointer is a float's; for block 1 it is the plain memory of either type.
template <typename Dtype>
const Dtype* Blob<Dtype>::cpu_data(int block) const {
  return reinterpret_cast<const Dtype*>(data()->cpu_blocked(Blocks(block)));
}

template <typename Dtype>
const Dtype* Blob<Dtype>::cpu_diff(int block) const {
  return reinterpret_cast<const Dtype*>(diff()->cpu_blocked(Blocks(block)));
}

template <typename Dtype>
Dtype* Blob<Dtype>::mutable_cpu_data(int block) {
  return reinterpret_cast<Dtype*>(data()->mutable_cpu_blocked(Blocks(block), true));
}

template <typename Dtype>
Dtype* Blob<Dtype>::mutable_cpu_diff(int block) {
  return reinterpret_cast<Dtype*>(diff()->mutable_cpu_blocked(Blocks(block), true));
}

template <typename Dtype>
Dtype* Blob<Dtype>::overwrite_cpu_data(int block) {
  return reinterpret_cast<Dtype*>(data()->mutable_cpu_blocked(Blocks(block), false));
}

template <typename Dtype>
Dtype* Blob<Dtype>::overwrite_cpu_diff(int block) {
  return reinterpret_cast<Dtype*>(diff()->mutable_cpu_blocked(Blocks(block), false));
}

template <typename Dtype>
void Blob<Dtype>::FromProto(const BlobProto& proto, bool reshape) {
  const vector<int> stated = ShapeOf(proto);
  if (reshape) {
    Reshape(stated);
  } else {
    ENFORCE(ShapeEquals(proto)) << "stored shape " << Join(stated) << " where " << Join(shape_)
                                << " is expected";
  }
  if (proto.double_data_size() > 0) {
    ReadValues(proto.double_data(), count_, "data", overwrite_cpu_data(1));
  } else {
    ReadValues(proto.data(), count_, "data", overwrite_cpu_data(1));
  }
  if (proto.double_diff_size() > 0) {
    ReadValues(proto.double_diff(), count_, "diff", overwrite_cpu_diff(1));
  } else if (proto.diff_size() > 0) {
    ReadValues(proto.diff(), count_, "diff", overwrite_cpu_diff(1));
  }
}

template <typename Dtype>
void Blob<Dtype>::ToProto(BlobProto* proto, bool write_diff) const {
  proto->Clear();
  for (int extent : shape_) proto->mutable_shape()->add_dim(extent);
  WriteValues(cpu_data(), count_, proto->mutable_data(), proto->mutable_double_data());
  if (write_diff) {
    WriteValues(cpu_diff(), count_, proto->mutable_diff(), proto->mutable_double_diff());
  }
}

template <typename Dtype>
void Blob<Dtype>::ShareData(const Blob& other) {
  CHECK_EQ(count_, other.count());
  data_ = other.data();
}

template <typename Dtype>
void Blob<Dtype>::ShareDiff(const Blob& other) {
  CHECK_EQ(count_, other.count());
  diff_ = other.diff();
}

// A blob that was larger once must not take the memory for as large as its former one.
template <typename Dtype>
void Blob<Dtype>::UseDataMemory(const shared_ptr<SyncedMemory>& memory) {
  data_ = memory;
  capacity_ = count_;
}

template <typename Dtype>
void Blob<Dtype>::UseDiffMemory(const shared_ptr<SyncedMemory>& memory) {
  diff_ = memory;
  capacity_ = count_;
}

template <typename Dtype>
bool Blob<Dtype>::ShapeEquals(const BlobProto& other) const {
  const vector<int> stated = ShapeOf(other);
  if (stated == shape_) return true;
  // Files from before `shape` have four axes, with leading ones where the blob has fewer.
  const bool old =
      other.has_num() || other.has_channels() || other.has_height() || other.has_width();
  if (!old || num_axes() > 4) return false;
  vector<int> padded(4 - num_axes(), 1);
  padded.insert(padded.end(), shape_.begin(), shape_.end());
  return stated == padded;
}

// Integer blobs hold indices and masks: they have no file form.
template <>
void Blob<int>::ToProto(BlobProto*, bool) const {
  NOT_IMPLEMENTED;
}
template <>
void Blob<unsigned int>::ToProto(BlobProto*, bool) const {
  NOT_IMPLEMENTED;
}

template class Blob<int>;
template class Blob<unsigned int>;
INSTANTIATE_CLASS(Blob);

}  // namespace caffe
