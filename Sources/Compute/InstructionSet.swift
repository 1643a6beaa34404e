import CKernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The vector instructions that the kernels use.
public enum InstructionSet {
  /// Name of the set in force: the best the machine has, or what `FORETOKEN_ISA` names.
  public static var current: String { String(cString: ft_isa_name(ft_isa_current())) }

  /// Names of the sets that this machine and build can run.
  public static var available: [String] {
    [FT_ISA_PORTABLE, FT_ISA_AVX2, FT_ISA_AVX512VNNI, FT_ISA_NEON]
      .filter { ft_isa_available($0) }.map { String(cString: ft_isa_name($0)) }
  }

  /// Refuses a `FORETOKEN_ISA` that names no set of this machine, rather than quietly using another.
  ///
  /// - Throws: `UnavailableInstructionSet`.
  public static func checkRequest() throws(UnavailableInstructionSet) {
    guard let wanted = getenv("FORETOKEN_ISA") else { return }
    let name = String(cString: wanted)
    if !available.contains(name) { throw UnavailableInstructionSet(name: name) }
  }
}

/// `FORETOKEN_ISA` names an instruction set that cannot be used here.
public struct UnavailableInstructionSet: Error, CustomStringConvertible, Sendable {
  /// What it names.
  public let name: String

  /// What it names and what it may name.
  public var description: String {
    let known = InstructionSet.available.joined(separator: ", ")
    return "FORETOKEN_ISA is '\(name)', but this machine runs only: \(known)"
  }
}
