import CKernels
import Testing

@Suite("Probes", .serialized)
struct ProbeTests {
  @Test("the read probe reads every byte", arguments: availableISAs)
  func readProbe(isa: UInt32) throws {
    try #require(ft_isa_force(ft_isa(rawValue: isa)))
    defer { ft_isa_unforce() }
    var bytes = [UInt8](repeating: 0, count: 4099)
    let empty = ft_probe_read(bytes, bytes.count)
    for index in stride(from: 0, to: bytes.count, by: 7) {
      bytes[index] = 1
      #expect(ft_probe_read(bytes, bytes.count) != empty)
      bytes[index] = 0
    }
  }

  @Test("the multiplication probe counts in proportion to its rounds", arguments: availableISAs)
  func multiplicationProbe(isa: UInt32) throws {
    try #require(ft_isa_force(ft_isa(rawValue: isa)))
    defer { ft_isa_unforce() }
    let once = ft_probe_int8(1)
    #expect(once > 0)
    #expect(ft_probe_int8(1000) == 1000 * once)
  }
}
