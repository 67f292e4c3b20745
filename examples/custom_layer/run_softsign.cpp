// Runs net.prototxt, which names the new layer type, and checks what comes out.
#include <cmath>
#include <iostream>

#include "caffe/net.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: run_softsign net.prototxt" << std::endl;
    return 1;
  }
  try {
    caffe::Net<float> net(argv[1], caffe::TEST);
    const float y = net.Forward()[0]->cpu_data()[0];
    std::cout << "softsign(3) = " << y << std::endl;
    return std::abs(y - 0.75f) < 1e-6f ? 0 : 1;
  } catch (const caffe::Error& e) {
    std::cerr << "ERROR: " << e.what() << std::endl;
    return 1;
  }
}
