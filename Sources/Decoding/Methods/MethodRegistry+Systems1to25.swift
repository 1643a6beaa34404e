extension MethodRegistry {
  /// Systems 1 to 25 of the catalogue.
  static let systems1to25: [Method] = [
    Method(
      number: 1, name: "ADED", card: "aded", area: .drafters,
      paper: Paper(
        title: "Adaptive Draft-Verification for Efficient LLM Decoding",
        arxiv: "2407.12021"),
      summary:
        "Searches an adaptive table of tri-gram statistics for a draft tree and lets the model "
        + "check it.",
      guarantee: .bitwise, status: .available,
      selector: MethodSelector(option: "--speculate", values: ["aded"]),
      example: "foretoken run --speculate aded \"Write a sorting function\""),
    Method(
      number: 2, name: "Superposed Decoding", card: "superposed-decoding", area: .search,
      paper: Paper(
        title:
          "Superposed Decoding: Multiple Generations from a Single Autoregressive Inference Pass",
        arxiv: "2405.18400"),
      summary:
        "Writes several drafts in one pass by feeding the model a weighted mix of their latest "
        + "token embeddings.",
      guarantee: .approximate, status: .available,
      selector: MethodSelector(option: "--decode", values: ["superposed"]),
      example: "foretoken run --raw --decode superposed --drafts 3 \"Dear Sir or Madam,\""),
    Method(
      number: 3, name: "Aggressive Decoding", card: "aggressive-decoding",
      area: .sequenceToSequence,
      paper: Paper(
        title: "Lossless Acceleration for Seq2seq Generation with Aggressive Decoding",
        arxiv: "2205.10350"),
      summary:
        "Takes the text to be edited as the draft of its own edit, and re-aligns with it after "
        + "every change; for decoders, the paper's encoder-decoders are planned.",
      guarantee: .bitwise, status: .available,
      selector: MethodSelector(option: "--speculate", values: ["input"]),
      example: "foretoken run --speculate input --prediction letter.txt \"Correct the spelling:\" "
        + "--file letter.txt"),
    Method(
      number: 4, name: "Chimera", card: "chimera", area: .heads,
      paper: Paper(
        title:
          "Chimera: A Lossless Decoding Method for Accelerating Large Language Models Inference "
          + "by Fusing all Tokens",
        arxiv: "2402.15758"),
      summary:
        "Trains a small drafter that joins a tri-gram encoder with attention over all earlier "
        + "positions.",
      guarantee: .bitwise, status: .planned,
      selector: MethodSelector(option: "--speculate", values: ["chimera"]),
      example: "foretoken run --speculate chimera \"Explain recursion\""),
    Method(
      number: 5, name: "Keyboard decoding", card: "keyboard-decoding", area: .pipelines,
      paper: Paper(
        title: "Neural Networks for Text Correction and Completion in Keyboard Decoding",
        arxiv: "1709.06429"),
      summary:
        "Turns sloppy typing into the words that were meant, and offers the next ones, with a "
        + "small character model.",
      guarantee: .approximate, status: .planned,
      example: "foretoken correct --model keyboard \"teh quikc brown\""),
    Method(
      number: 6, name: "Lexical Unit Decoding", card: "lexical-unit-decoding", area: .learning,
      paper: Paper(
        title:
          "Decoding at the Speed of Thought: Harnessing Parallel Decoding of Lexical Units for "
          + "LLMs",
        arxiv: "2405.15208"),
      summary:
        "Fine-tunes a model to fill several slots at once and keeps as many leading ones as it "
        + "is sure of.",
      guarantee: .approximate, status: .planned,
      selector: MethodSelector(option: "--speculate", values: ["lexical-units"]),
      example: "foretoken run --speculate lexical-units \"Explain recursion\""),
    Method(
      number: 7, name: "Learn2PD and EoTP", card: "learn2pd", area: .diffusion,
      paper: Paper(
        title: "Learning to Parallel: Accelerating Diffusion Large Language Models via Learnable "
          + "Parallel Decoding",
        arxiv: "2509.25188"),
      summary:
        "A tiny learnt filter decides which masked tokens of a diffusion model are final already.",
      guarantee: .approximate, status: .planned,
      example: "foretoken diffuse --strategy learn2pd \"Sort: 3 1 2\""),
    Method(
      number: 8, name: "FiRST", card: "first", area: .learning,
      paper: Paper(
        title:
          "FiRST: Finetuning Router-Selective Transformers for Input-Adaptive Latency Reduction",
        arxiv: "2410.12513"),
      summary:
        "Routers read the prompt and choose once which middle layers the whole answer can do "
        + "without.",
      guarantee: .approximate, status: .planned,
      selector: MethodSelector(option: "--skip", values: ["first"]),
      example: "foretoken run --skip first \"Summarise the story\""),
    Method(
      number: 9, name: "RetroMAE v2 (DupMAE)", card: "retromae-v2", area: .context,
      paper: Paper(
        title:
          "RetroMAE v2: Duplex Masked Auto-Encoder For Pre-Training Retrieval-Oriented Language "
          + "Models",
        arxiv: "2211.08769"),
      summary:
        "Pre-trains a sentence encoder from raw text for the retrieval that other systems stand "
        + "on.",
      guarantee: .analysis, status: .planned,
      example: "foretoken train dupmae --file corpus.txt"),
    Method(
      number: 10, name: "KV-head compression", card: "kv-head-compression", area: .context,
      paper: Paper(
        title: "Effectively Compress KV Heads for LLM",
        arxiv: "2406.07056"),
      summary:
        "Lets a group of key/value heads share one low-rank code, started from data and repaired "
        + "briefly.",
      guarantee: .approximate, status: .planned,
      example: "foretoken compress kv-heads --model qwen2.5-coder-0.5b"),
    Method(
      number: 11, name: "STAND", card: "stand", area: .drafters,
      paper: Paper(
        title: "Accelerated Test-Time Scaling with Model-Free Speculative Sampling",
        arxiv: "2506.04708"),
      summary:
        "Keeps the probabilities the model gave after recent n-grams and samples drafts from "
        + "them.",
      guarantee: .bitwise, status: .available,
      selector: MethodSelector(option: "--speculate", values: ["stand"]),
      example: "foretoken run --speculate stand --temperature 0.8 \"Solve step by step\""),
    Method(
      number: 12, name: "CPPD", card: "cppd", area: .vision,
      paper: Paper(
        title: "Context Perception Parallel Decoder for Scene Text Recognition",
        arxiv: "2307.12270"),
      summary:
        "Reads all characters of a word image in one decoder pass, told which characters there "
        + "are and how many.",
      guarantee: .approximate, status: .planned,
      example: "foretoken ocr word.png"),
    Method(
      number: 13, name: "Cautious Next Token Prediction", card: "cntp", area: .search,
      paper: Paper(
        title: "Cautious Next Token Prediction",
        arxiv: "2507.03038"),
      summary: "Where the model is unsure it tries several clauses and keeps the one it finds most "
        + "probable.",
      guarantee: .approximate, status: .available,
      selector: MethodSelector(option: "--decode", values: ["cautious"]),
      example: "foretoken run --decode cautious --temperature 0.8 \"What is 17 * 24?\""),
    Method(
      number: 14, name: "M2R2", card: "m2r2", area: .learning,
      paper: Paper(
        title: "M2R2: Mixture of Multi-Rate Residuals for Efficient Transformer Inference",
        arxiv: "2502.02040"),
      summary:
        "A second, faster residual stream reaches the answer in early layers and drafts for the "
        + "full model.",
      guarantee: .bitwise, status: .planned,
      selector: MethodSelector(option: "--speculate", values: ["m2r2"]),
      example: "foretoken run --speculate m2r2 \"Explain recursion\""),
    Method(
      number: 15, name: "FFN-SkipLLM", card: "ffn-skipllm", area: .transformers,
      paper: Paper(
        title: "FFN-SkipLLM: A Hidden Gem for Autoregressive Decoding with Adaptive Feed Forward "
          + "Skipping",
        arxiv: "2404.03865"),
      summary:
        "Leaves out the middle feed-forward blocks of a token once they stop changing its hidden "
        + "state.",
      guarantee: .approximate, status: .planned,
      selector: MethodSelector(option: "--skip", values: ["ffn"]),
      example: "foretoken run --skip ffn \"Explain recursion\""),
    Method(
      number: 16, name: "Entropy Adaptive Decoding", card: "entropy-adaptive-decoding",
      area: .search,
      paper: Paper(
        title: "Entropy Adaptive Decoding: Dynamic Model Switching for Efficient Inference",
        arxiv: "2502.06833"),
      summary:
        "A small and a large model take turns; the large one writes where the running entropy is "
        + "high.",
      guarantee: .approximate, status: .available,
      selector: MethodSelector(option: "--decode", values: ["entropy-adaptive"]),
      example: "foretoken run --decode entropy-adaptive --model qwen2.5-coder-1.5b --draft "
        + "qwen2.5-coder-0.5b \"Write a parser\""),
    Method(
      number: 17, name: "Hidden Transfer", card: "hidden-transfer", area: .heads,
      paper: Paper(
        title:
          "Parallel Decoding via Hidden Transfer for Lossless Large Language Model Acceleration",
        arxiv: "2404.12022"),
      summary:
        "Trained matrices carry a middle layer's state to future positions, so one pass guesses "
        + "several tokens.",
      guarantee: .bitwise, status: .planned,
      selector: MethodSelector(option: "--speculate", values: ["hidden-transfer"]),
      example: "foretoken run --speculate hidden-transfer \"Explain recursion\""),
    Method(
      number: 18, name: "ParallelBench", card: "parallelbench", area: .diffusion,
      paper: Paper(
        title: "ParallelBench: Understanding the Trade-offs of Parallel Decoding in Diffusion LLMs",
        arxiv: "2510.04767"),
      summary:
        "Measures, on made-up tasks with known answers, what committing several tokens a step "
        + "costs in quality.",
      guarantee: .analysis, status: .planned,
      example: "foretoken bench parallel"),
    Method(
      number: 19, name: "Parallel Prompt Decoding", card: "ppd", area: .heads,
      paper: Paper(
        title: "Hardware-Aware Parallel Prompt Decoding for Memory-Efficient Acceleration of LLM "
          + "Inference",
        arxiv: "2405.18628"),
      summary:
        "A few trained prompt embeddings make a frozen model guess the following tokens in the "
        + "same pass.",
      guarantee: .bitwise, status: .planned,
      selector: MethodSelector(option: "--speculate", values: ["ppd"]),
      example: "foretoken run --speculate ppd \"Explain recursion\""),
    Method(
      number: 20, name: "CodecLM", card: "codeclm", area: .pipelines,
      paper: Paper(
        title: "CodecLM: Aligning Language Models with Tailored Synthetic Data",
        arxiv: "2404.05875"),
      summary:
        "Makes instruction data for one's own use out of a few examples, hardest where the small "
        + "model is weak.",
      guarantee: .analysis, status: .planned,
      example: "foretoken pipeline codeclm --file requests.txt"),
    Method(
      number: 21, name: "SpecTr", card: "spectr", area: .verifiers,
      paper: Paper(
        title: "SpecTr: Fast Speculative Decoding via Optimal Transport",
        arxiv: "2310.15141"),
      summary:
        "Accepts one of several drafts with the highest probability that leaves the target's "
        + "distribution as it is.",
      guarantee: .distribution, status: .available,
      selector: MethodSelector(option: "--verify", values: ["spectr"]),
      example:
        "foretoken run --model qwen2.5-coder-1.5b --draft qwen2.5-coder-0.5b "
        + "--speculate draft-model --verify spectr --temperature 0.8 \"Tell a story\""),
    Method(
      number: 22, name: "DySpec", card: "dyspec", area: .trees,
      paper: Paper(
        title: "DySpec: Faster Speculative Decoding with Dynamic Token Tree Structure",
        arxiv: "2410.11744"),
      summary: "Grows each draft tree where the draft model is confident.",
      guarantee: .bitwise, status: .available,
      selector: MethodSelector(option: "--tree", values: ["dyspec", "dyspec-greedy"]),
      example:
        "foretoken run --model qwen2.5-coder-1.5b --draft qwen2.5-coder-0.5b "
        + "--speculate draft-model --tree dyspec --temperature 0.8 \"Tell a story\""),
    Method(
      number: 23, name: "SAE circuit identification", card: "sae-circuits", area: .interpretability,
      paper: Paper(
        title:
          "Sparse Autoencoders Enable Scalable and Reliable Circuit Identification in Language "
          + "Models",
        arxiv: "2405.12522"),
      summary:
        "Finds the attention heads behind a behaviour from a few examples, without ablating any.",
      guarantee: .analysis, status: .planned,
      example: "foretoken probe circuits"),
    Method(
      number: 24, name: "DEL", card: "del", area: .selfSpeculation,
      paper: Paper(
        title: "DEL: Context-Aware Dynamic Exit Layer for Efficient Self-Speculative Decoding",
        arxiv: "2504.05598"),
      summary:
        "The model drafts with its first layers and re-chooses exit layer and draft length every "
        + "round.",
      guarantee: .distribution, status: .planned,
      selector: MethodSelector(option: "--speculate", values: ["del"]),
      example: "foretoken run --speculate del \"Explain recursion\""),
    Method(
      number: 25, name: "Recursive Speculative Decoding", card: "rsd", area: .trees,
      paper: Paper(
        title: "Recursive Speculative Decoding: Accelerating LLM Inference via Sampling Without "
          + "Replacement",
        arxiv: "2402.14160"),
      summary:
        "Draft trees sampled without replacement, so that no two siblings waste a place on one "
        + "token.",
      guarantee: .bitwise, status: .available,
      selector: MethodSelector(option: "--tree", values: ["rsd-c", "rsd-s"]),
      example:
        "foretoken run --model qwen2.5-coder-1.5b --draft qwen2.5-coder-0.5b "
        + "--speculate draft-model --tree rsd-s --temperature 0.8 \"Tell a story\""),
  ]
}
