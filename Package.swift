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
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(
      url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0", traits: []),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.0"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
    .package(url: "https://github.com/apple/swift-log", from: "1.14.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
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
    .target(
      name: "Server",
      dependencies: [
        "Foretoken",
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ],
      path: "Sources/Server", exclude: ["Studio"],
      swiftSettings: swiftSettings),
    .executableTarget(
      name: "CommandLineTool",
      dependencies: [
        "Foretoken", "Learning", "Autograd", "Server", "Compute", "CKernels",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Sources/CommandLineTool", swiftSettings: swiftSettings),
    .executableTarget(
      name: "foretoken-example", dependencies: ["Foretoken"], path: "Examples/Swift",
      swiftSettings: swiftSettings),
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
    .testTarget(
      name: "ServerTests",
      dependencies: [
        "Server", "CommandLineTool", "Foretoken", "TestSupport", "foretoken-example",
      ],
      path: "Tests/ServerTests", swiftSettings: swiftSettings),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .gnu11
)
