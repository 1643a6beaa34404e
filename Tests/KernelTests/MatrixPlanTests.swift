import CKernels
import Testing

@Suite("Matrix plans")
struct MatrixPlanTests {
  @Test("packed sizes stay within 5 % of the file's", arguments: TensorType.all)
  func packedSize(type: TensorType) {
    // Q3_K rides in the 6-bit layout and IQ4_NL in the 8-bit one: known and rare exceptions.
    let limit = ["Q3_K", "IQ4_NL"].contains(type.name) ? 1.95 : 1.05
    for columns in [576, 896, 1536, 4864, 8960] where columns % type.blockElements == 0 {
      var matrix = ft_matrix()
      #expect(ft_matrix_plan(&matrix, type.type, 1536, Int32(columns), false))
      let file = 1536 * columns / type.blockElements * type.blockBytes
      #expect(Double(matrix.bytes) <= limit * Double(file), "\(columns) columns")
    }
  }

  @Test("impossible shapes and unknown types are refused")
  func refusals() {
    var matrix = ft_matrix()
    #expect(!ft_matrix_plan(&matrix, FT_TYPE_Q4_0, 8, 33, false))
    #expect(!ft_matrix_plan(&matrix, FT_TYPE_Q4_K, 8, 288, false))
    #expect(!ft_matrix_plan(&matrix, FT_TYPE_Q4_0, 0, 32, false))
    #expect(!ft_matrix_plan(&matrix, FT_TYPE_Q4_0, 8, -32, false))
    #expect(!ft_matrix_plan(&matrix, ft_type(rawValue: 999), 8, 32, false))
  }

  @Test("the last group may be partial")
  func groups() {
    var matrix = ft_matrix()
    for (rows, groups): (Int32, Int32) in [(1, 1), (8, 1), (9, 2), (17, 3), (.max, 1 << 28)] {
      #expect(ft_matrix_plan(&matrix, FT_TYPE_Q8_0, rows, 32, false))
      #expect(ft_matrix_groups(&matrix) == groups)
    }
  }
}
