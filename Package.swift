// swift-tools-version: 6.2
import PackageDescription

/// Continuous integration turns every warning of our own targets into an error.
let strict = Context.environment["CI"] != nil
let swiftSettings: [SwiftSetting] = strict ? [.treatAllWarnings(as: .error)] : []
let cSettings: [CSetting] = strict ? [.treatAllWarnings(as: .error)] : []

let package = Package(
  name: "Foretoken",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "Foretoken", targets: ["Foretoken"]),
    .executable(name: "foretoken", targets: ["CommandLineTool"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
  ],
  targets: [
    .systemLibrary(
      name: "CCrypto", path: "Sources/CCrypto", pkgConfig: "libcrypto",
      providers: [.apt(["libssl-dev"])]),
    .target(
      name: "CKernels", path: "Sources/CKernels", cSettings: cSettings,
      linkerSettings: [.linkedLibrary("m", .when(platforms: [.linux]))]),
    .target(
      name: "Compute", dependencies: ["CKernels"], path: "Sources/Compute",
      swiftSettings: swiftSettings),
    .systemLibrary(
      name: "COpenBLAS", path: "Sources/COpenBLAS", pkgConfig: "openblas",
      providers: [.apt(["libopenblas-dev"])]),
    .target(
      name: "Autograd",
      dependencies: [
        "Compute", .target(name: "COpenBLAS", condition: .when(platforms: [.linux])),
      ],
      path: "Sources/Autograd", swiftSettings: swiftSettings,
      linkerSettings: [.linkedFramework("Accelerate", .when(platforms: [.macOS]))]),
    .target(
      name: "Checkpoints",
      dependencies: [
        "Compute", "CKernels", .target(name: "CCrypto", condition: .when(platforms: [.linux])),
      ],
      path: "Sources/Checkpoints", swiftSettings: swiftSettings),
    .target(
      name: "Tokenization", path: "Sources/Tokenization", swiftSettings: swiftSettings),
    .target(
      name: "Constraints", dependencies: ["Tokenization"], path: "Sources/Constraints",
      swiftSettings: swiftSettings),
    .target(
      name: "Transformers", dependencies: ["Compute", "Checkpoints", "CKernels"],
      path: "Sources/Transformers", swiftSettings: swiftSettings),
    .target(
      name: "Decoding",
      dependencies: ["Transformers", "Tokenization", "Checkpoints", "Constraints"],
      path: "Sources/Decoding", swiftSettings: swiftSettings),
    .target(
      name: "Learning", dependencies: ["Decoding", "Autograd", "Checkpoints", "Tokenization"],
      path: "Sources/Learning", swiftSettings: swiftSettings),
    .target(
      name: "Foretoken", dependencies: ["Decoding"], path: "Sources/Foretoken",
      swiftSettings: swiftSettings),
    .executableTarget(
      name: "CommandLineTool",
      dependencies: [
        "Foretoken", "Learning", "Autograd", "Compute", "CKernels",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Sources/CommandLineTool", swiftSettings: swiftSettings),
    .target(
      name: "TestSupport", dependencies: ["Checkpoints"], path: "Tests/TestSupport",
      swiftSettings: swiftSettings),
    .target(name: "AllocationCounter", path: "Tests/AllocationCounter", cSettings: cSettings),
    .testTarget(
      name: "KernelTests", dependencies: ["Compute", "CKernels", "TestSupport"],
      path: "Tests/KernelTests",
      swiftSettings: swiftSettings),
    .testTarget(
      name: "AutogradTests", dependencies: ["Autograd", "Compute", "TestSupport"],
      path: "Tests/AutogradTests", swiftSettings: swiftSettings),
    .testTarget(
      name: "CheckpointsTests", dependencies: ["Checkpoints", "TestSupport"],
      path: "Tests/CheckpointsTests", swiftSettings: swiftSettings),
    .testTarget(
      name: "TokenizationTests", dependencies: ["Tokenization", "Checkpoints", "TestSupport"],
      path: "Tests/TokenizationTests", swiftSettings: swiftSettings),
    .testTarget(
      name: "ConstraintsTests",
      dependencies: ["Constraints", "Foretoken", "TestSupport"],
      path: "Tests/ConstraintsTests", swiftSettings: swiftSettings),
    .testTarget(
      name: "TransformersTests",
      dependencies: ["Transformers", "CKernels", "TestSupport"],
      path: "Tests/TransformersTests", swiftSettings: swiftSettings),
    .testTarget(
      name: "DecodingTests",
      dependencies: ["Decoding", "Foretoken", "TestSupport", "AllocationCounter"],
      path: "Tests/DecodingTests", swiftSettings: swiftSettings),
    .testTarget(
      name: "LearningTests", dependencies: ["Learning", "Autograd", "Foretoken", "TestSupport"],
      path: "Tests/LearningTests", swiftSettings: swiftSettings),
    .testTarget(
      name: "CommandLineTests",
      dependencies: ["CommandLineTool", "Foretoken", "Checkpoints", "TestSupport"],
      path: "Tests/CommandLineTests", swiftSettings: swiftSettings),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .gnu11
)
