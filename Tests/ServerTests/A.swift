import Testing
@testable import Server
@Test func a() { #expect(Fields.kind(.null) == "null") }
