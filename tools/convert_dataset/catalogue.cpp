#include "tools/convert_dataset/catalogue.hpp"

#include "util/error.hpp"
#include "util/nearest_name.hpp"

namespace metaperturb {

const std::vector<CatalogueEntry>& Catalogue() {
  const std::string idx =
      "train-images-idx3-ubyte.gz,train-labels-idx1-ubyte.gz,t10k-images-idx3-ubyte.gz,"
      "t10k-labels-idx1-ubyte.gz";
  static const std::vector<CatalogueEntry> catalogue = {
      {"tiny_imagenet", ReadTinyImagenet, 32, 4, 0, 0, "tiny-imagenet-200.zip"},
      {"cifar10", ReadCifar10, 32, 4, 0, 0, "cifar-10-binary.tar.gz"},
      {"cifar100", ReadCifar100, 32, 4, 0, 0, "cifar-100-binary.tar.gz"},
      {"s_cifar100", ReadCifar100, 32, 4, 50, 0, "cifar-100-binary.tar.gz"},
      {"stl10", ReadStl10, 32, 4, 0, 0, "stl10_binary.tar.gz"},
      {"svhn", ReadSvhn, 32, 4, 0, 0, "train_32x32.mat,test_32x32.mat"},
      {"s_svhn", ReadSvhn, 32, 4, 500, 0, "train_32x32.mat,test_32x32.mat"},
      {"mnist", ReadMnist, 32, 4, 0, 0, idx},
      {"fashion_mnist", ReadFashionMnist, 32, 4, 0, 0, idx},
      {"s_fashion_mnist", ReadFashionMnist, 32, 4, 500, 0, idx},
      {"omniglot", ReadOmniglot, 32, 4, 0, 5, "images_background.zip,images_evaluation.zip"},
      {"dtd", ReadDtd, 84, 8, 0, 0, "dtd-r1.0.1.tar.gz"},
      {"aircraft", ReadAircraft, 84, 8, 0, 0, "fgvc-aircraft-2013b.tar.gz"},
      {"cub200", ReadCub200, 84, 8, 0, 0, "CUB_200_2011.tgz"},
      {"cars", ReadCars, 84, 8, 0, 0,
       "cars_train.tgz,cars_test.tgz,car_devkit.tgz,cars_test_annos_withlabels.mat"},
      {"dogs", ReadDogs, 84, 8, 0, 0, "images.tar,lists.tar"},
      {"folder", ReadFolder, 32, 4, 0, 0, "a folder or archive of images, a folder per class"},
  };
  return catalogue;
}

const CatalogueEntry& FindInCatalogue(const std::string& name) {
  std::vector<std::string> names;
  for (const CatalogueEntry& entry : Catalogue()) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  std::string all;
  for (const std::string& known : names) all += (all.empty() ? "" : ", ") + known;
  throw caffe::Error("--dataset=" + name + " is not known" + caffe::DidYouMean(name, names) +
                     "; known are " + all);
}

}  // namespace metaperturb
