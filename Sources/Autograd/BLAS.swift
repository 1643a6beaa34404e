#if canImport(Accelerate)
  import Accelerate
#else
  import COpenBLAS
#endif

/// Single-precision matrix products of the system's BLAS: OpenBLAS, on Apple's systems Accelerate.
public enum BLAS {
  /// Threads that products run on. With the same number the same products give the same bits; with
  /// another one they may differ in the last place, because rows are grouped in another way.
  ///
  /// Has no effect on Accelerate, which decides by itself.
  public static func setThreads(_ count: Int) {
    #if !canImport(Accelerate)
      openblas_set_num_threads(Int32(clamping: max(count, 1)))
    #endif
  }

  /// Threads that products run on; 0 where the library decides.
  public static var threads: Int {
    #if canImport(Accelerate)
      0
    #else
      Int(openblas_get_num_threads())
    #endif
  }

  /// What computes the products, for reports.
  public static var name: String {
    #if canImport(Accelerate)
      "Accelerate"
    #else
      "OpenBLAS (\(String(cString: openblas_get_corename())))"
    #endif
  }

  /// C := scale · op(A) op(B) + keep · C, where op transposes if asked.
  ///
  /// - Parameters:
  ///   - m: rows of C; `n`: columns of C; `k`: the dimension that is summed over.
  ///   - a: [m, k], or [k, m] if transposed; `b`: [k, n], or [n, k] if transposed; `c`: [m, n].
  ///     Row-major without gaps.
  public static func multiply(
    _ a: UnsafePointer<Float>, leftTransposed transposeA: Bool = false,
    by b: UnsafePointer<Float>, rightTransposed transposeB: Bool = false,
    into c: UnsafeMutablePointer<Float>, m: Int, n: Int, k: Int, scale: Float = 1, keep: Float = 0
  ) {
    guard m > 0, n > 0 else { return }
    guard k > 0 else {
      for index in 0..<(m * n) { c[index] *= keep }
      return
    }
    cblas_sgemm(
      CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans,
      Int32(m), Int32(n), Int32(k), scale, a, Int32(transposeA ? m : k), b,
      Int32(transposeB ? k : n), keep, c, Int32(n))
  }
}
