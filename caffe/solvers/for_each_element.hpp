#ifndef CAFFE_SOLVERS_FOR_EACH_ELEMENT_HPP_
#define CAFFE_SOLVERS_FOR_EACH_ELEMENT_HPP_

namespace caffe {

/// Calls update(i) for i in [0, n), on several threads where that pays.
template <class Update>
void ForEachElement(int n, const Update& update) {
#pragma omp parallel for simd schedule(static) if (n > 1 << 15)
  for (int i = 0; i < n; ++i) update(i);
}

}  // namespace caffe

#endif  // CAFFE_SOLVERS_FOR_EACH_ELEMENT_HPP_
