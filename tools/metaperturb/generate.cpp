// metaperturb generate: writes the model definitions of models/.

#include "caffe/common.hpp"
#include "caffe/util/io.hpp"
#include "layers/insert_metaperturb.hpp"
#include "tools/metaperturb/commands.hpp"
#include "tools/metaperturb/model_builder.hpp"

DECLARE_string(model);
DECLARE_string(output);
DEFINE_bool(mp, false, "generate: with MetaPerturb layers");
DEFINE_int32(classes, 10, "generate: number of classes");
DEFINE_int32(crop, 32, "generate: height and width of the network's input");
DEFINE_int32(batch, 128, "generate: images per training batch");
DEFINE_int32(test_batch, 100, "generate: images per test batch");
DEFINE_string(train_source, "data/train_lmdb", "generate: LMDB with the training images");
DEFINE_string(test_source, "data/test_lmdb", "generate: LMDB with the test images");

metaperturb::InsertOptions InsertOptionsFromFlags();

int RunGenerate() {
  ENFORCE(!FLAGS_output.empty()) << "--output is not given";
  ENFORCE(FLAGS_classes > 0 && FLAGS_crop > 0 && FLAGS_batch > 0 && FLAGS_test_batch > 0)
      << "--classes, --crop, --batch and --test_batch must be positive";
  metaperturb::ModelOptions options;
  options.classes = FLAGS_classes;
  options.crop = FLAGS_crop;
  options.batch = FLAGS_batch;
  options.test_batch = FLAGS_test_batch;
  options.train_source = FLAGS_train_source;
  options.test_source = FLAGS_test_source;
  caffe::NetParameter net = metaperturb::BuildModel(FLAGS_model, options);
  if (FLAGS_mp) {
    const caffe::NetParameter plain = net;
    metaperturb::InsertMetaPerturb(plain, InsertOptionsFromFlags(), &net);
  }
  caffe::WriteProtoToTextFile(net, FLAGS_output);
  return 0;
}
