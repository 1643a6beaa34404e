import CKernels
import Testing

@Suite("Probes")
struct ProbeTests {
  @Test("the read probe reads every byte")
  func readProbe() {
    var bytes = [UInt8](repeating: 0, count: 4099)
    let empty = ft_probe_read(bytes, bytes.count)
    for index in stride(from: 0, to: bytes.count, by: 7) {
      bytes[index] = 1
      #expect(ft_probe_read(bytes, bytes.count) != empty)
      bytes[index] = 0
    }
  }

  @Test("the multiplication probe counts in proportion to its rounds")
  func multiplicationProbe() {
    let once = ft_probe_int8(1)
    #expect(once > 0)
    #expect(ft_probe_int8(1000) == 1000 * once)
  }
}
