"""Who says the sentences of the claims: textbooks, articles, documentation, whose words were read before they were named."""

from rnnvanish.claim import Source

# Textbooks and papers

ARJOVSKY = Source(
    "Arjovsky, Shah & Bengio (2016), Unitary Evolution Recurrent Neural Networks",
    "https://www.arxiv-vanity.com/papers/1511.06464/",
)
DEEP_LEARNING_WITH_GO = Source(
    "Hands-On Deep Learning with Go, RNNs and vanishing gradients",
    "https://packtpub.com/en-lv/product/hands-on-deep-learning-with-go-9781789340990/chapter/"
    "next-word-prediction-with-recurrent-neural-networks-7/section/rnns-and-vanishing-gradients-ch07lvl1sec30",
)
DEEP_LEARNING_WITH_TENSORFLOW = Source(
    "Deep Learning with TensorFlow, RNN and the gradient vanishing-exploding problem",
    "https://www.safaribooksonline.com/library/view/deep-learning-with/9781788831109/ch06s02.html",
)
DEEP_LEARNING_WORKSHOP = Source(
    "The Deep Learning Workshop, The Vanishing Gradient Problem",
    "https://subscription.packtpub.com/book/data/9781839219856/6/ch06lvl1sec38/the-vanishing-gradient-problem",
)
DIVE_INTO_DEEP_LEARNING = Source(
    "Dive into Deep Learning, slides, Numerical Stability and Initialization",
    "https://d2l.smola.org/slides/pytorch/chapter_multilayer-perceptrons/numerical-stability-and-init.html",
)
LE = Source(
    "Le, Jaitly & Hinton (2015), A Simple Way to Initialize Recurrent Networks of Rectified Linear Units",
    "https://ar5iv.labs.arxiv.org/html/1504.00941",
)
NLP_WITH_GRUS = Source(
    "Deep Learning for Natural Language Processing, Gated Recurrent Units",
    "https://subscription.packtpub.com/book/data/9781838550295/6/ch06lvl1sec33/gated-recurrent-units-grus",
)
R_PROJECTS = Source(
    "R Machine Learning Projects, Problems and solutions to gradients in RNN",
    "https://packtpub.com/en-ro/product/r-machine-learning-projects-9781789807943/chapter/"
    "automatic-prose-generation-with-recurrent-neural-networks-8/section/"
    "problems-and-solutions-to-gradients-in-rnn-ch08lvl1sec66",
)
REINFORCEMENT_LEARNING = Source(
    "Hands-On Reinforcement Learning with Python, Long Short-Term Memory RNN",
    "https://packtpub.com/en-mx/product/hands-on-reinforcement-learning-with-python-9781788836524/chapter/"
    "deep-learning-fundamentals-7/section/long-short-term-memory-rnn-ch07lvl1sec59",
)
RNN_QUICK_START = Source(
    "Recurrent Neural Networks with Python Quick Start Guide, Key problems",
    "https://packtpub.com/en-mt/product/recurrent-neural-networks-with-python-quick-start-guide-9781789132335/chapter/"
    "introducing-recurrent-neural-networks-1/section/"
    "key-problems-with-the-standard-recurrent-neural-network-model-ch01lvl1sec05",
)
RUSCH = Source(
    "Rusch, Mishra, Erichson & Mahoney (2022), Long Expressive Memory for Sequence Modeling",
    "https://ar5iv.labs.arxiv.org/html/2110.04744",
)
PYTORCH_BOOK = Source(
    "Backpropagation Through Time, a chapter on PyTorch", "https://brain.tamnd.com/write/book/dl-pytorch/04/17/3/"
)
TEXTBOOK_OF_AI = Source("Textbook of AI, The LSTM cell", "https://www.textbookofai.com/visualisations/lstm-cell.html")

# Documentation and courses

APXML = Source(
    "ApX, RNNs and sequence modeling, Impact on long-range dependencies",
    "https://apxml.com/courses/rnns-and-sequence-modeling/chapter-4-rnn-training-challenges/"
    "impact-long-range-dependencies",
)
ATLAS_GRADIENTS = Source(
    "Robots Atlas, Vanishing and exploding gradients in deep RNNs",
    "https://robotsatlas.com/courses/sieci-neuronowe-od-podstaw-do-nowoczesnej-ai/sekwencje-rnn-lstm-gru/"
    "vanishing-i-exploding-gradients-w-rnn",
)
ATLAS_LIMITS = Source(
    "Robots Atlas, RNN limitations and long-range dependencies",
    "https://robotsatlas.com/courses/sieci-neuronowe-od-podstaw-do-nowoczesnej-ai/mechanizm-uwagi-i-transformer/"
    "motywacja-ograniczenia-rnn-i-dlugoterminowe-zaleznosci",
)
CAMPUS_X = Source(
    "Problems with RNN, 100 Days of Deep Learning (CampusX), a summary",
    "https://brainfeed.ai/pages/problems-with-rnn-100-days-of-deep-learning-AWHSZ.html",
)
DEEP_LEARNING_NOTES = Source(
    "Deep Learning Notes, Variants of backpropagation through time",
    "https://deeplearningnotes-site.pages.dev/rnns-attention/rnns-basics/bptt-variants",
)
DEEP_LEARNING_WORKBOOK = Source(
    "Deep Learning Workbook, Backpropagation through time and the vanishing gradient",
    "https://deeplearningworkbook.com/nlp/rnns/vanishing-gradient",
)
ENGINEERS_OF_AI = Source(
    "Engineers of AI, State Space Model Foundations",
    "https://engineersofai.com/docs/llms/state-space-models/ssm-foundations",
)
GLOSARIX = Source("Glosarix, BPTT truncation", "https://glosarix.com/en/glossary/bptt-truncation-en")
IBM = Source("IBM, What are recurrent neural networks?", "https://www.ibm.com/topics/recurrent-neural-networks")
INTERACTIVE_PRIMER = Source(
    "Interactive Primer, Backpropagation through time",
    "https://interactiveprimer.com/concepts/computer-science/deep-learning/sequence-models/backprop-through-time.html",
)
LEARN_AI = Source(
    "learnAI, Recurrent neural networks",
    "https://kshirol-dev.github.io/learnAI/DeepLearning/06-recurrent-neural-networks.html",
)
SIUA = Source(
    "Siua, Mathematics for machine learning, Vanishing gradients in RNNs",
    "https://www.siua.io/learn/courses/ml-math/13-recurrent-networks/13-4-rnn-vanishing",
)
TENSORFLOW = Source(
    "TensorFlow, documentation of LossScale",
    "https://tensorflow.org/api_docs/python/tf/compat/v1/mixed_precision/LossScale",
)

# Articles and answers

AI_CASSINDRA = Source(
    "AI Cassindra, How transformers solved what killed earlier RNNs",
    "https://aicassindra.com/blogs/transformers/the_vanishing_gradient_problem.html",
)
ANABEL = Source(
    "Gradient Clipping: RNNs & Long-Term Memory Explained", "https://anabel.icu/blog/gradient-clipping-rnns-and-long"
)
BATCH_SIZE = Source(
    "Data Rekha, How does batch size affect training?",
    "https://datarekha.com/interview/deep-learning/batch-size-effect/",
)
CLIPPING_QUESTION = Source(
    "Cross Validated, Gradient clipping of vanilla RNNs vs LSTMs (of an online course)",
    "https://stats.stackexchange.com/questions/625560/gradient-clipping-of-vanilla-rnns-vs-lstms",
)
CODE_360 = Source(
    "Code360, Solving the vanishing gradient problem with LSTM",
    "https://www.naukri.com/code360/library/solving-the-vanishing-gradient-problem-with-lstm",
)
DOMINGUES = Source(
    "A. Domingues (2017), The Pain of Training RNNs", "https://axeldomingues.dev/blog/the-pain-of-training-rnns"
)
ENGINEER_MAXXING = Source(
    "Engineer Maxxing, on Bengio, Simard & Frasconi (1994)",
    "https://www.engineermaxxing.com/veanors/papers/vanishing-gradients-rnn.html",
)
GARG = Source("A. Garg, Recurrent Neural Networks, notes", "https://ayushgarg.ca/notes/Recurrent-Neural-Networks")
INGOAMPT = Source(
    "INGOAMPT, Layer normalization and LSTMs",
    "https://ingoampt.com/rnn-layer-normalization-and-lstms-part-8-of-rnn-deep-learning-day-62",
)
IRIS = Source("J. Becker, RNN unrolled", "https://iris.joshua-becker.com/lab/rnn-unrolled/")
LUIS = Source("Maker Luis, Advanced gradient descent", "https://www.makerluis.com/dl-notes-advanced-gradient-descent/")
MHTECHIN = Source(
    "MHTECHIN, Gradient vanishing in unnormalized RNN architectures",
    "https://www.mhtechin.com/support/gradient-vanishing-in-unnormalized-rnn-architectures",
)
ORVIETO_SUMMARY = Source(
    "Resurrecting Recurrent Neural Networks for Long Sequences, a summary",
    "https://www.arxiv-summary.com/posts/2303.06349/",
)
PAPERIUM = Source(
    "Paperium, on Le, Jaitly & Hinton (2015)",
    "https://paperium.net/article/en/3514/a-simple-way-to-initialize-recurrent-networks-of-rectified-linear-units",
)
QEEEBO = Source(
    "Qeeebo, How do RNN cells handle vanishing gradients?",
    "https://qeeebo.com/questions/how/2e/b31/how-do-rnn-cells-handle-vanishing-gradients-during-backpropagation",
)
RESIDUAL_LAYERS = Source(
    "Cross Validated, What are residual connections in RNNs?",
    "https://stats.stackexchange.com/questions/321054/what-are-residual-connections-in-rnns?noredirect=1",
)
RESIDUAL_TIME = Source(
    "AI Stack Exchange, Wouldn't residual connections in RNNs solve the vanishing gradient problem?",
    "https://ai.stackexchange.com/questions/45236/"
    "wouldnt-residual-connections-in-rnns-solve-the-vanishing-exploding-gradient-pro",
)
ROBOTECH = Source(
    "RoboTech, Recurrent neural network problems and how transformers overcome them",
    "https://robotech.razzi.my/2022/02/recurrent-neural-network-problems-and.html",
)
WELLS = Source("R. Wells, Data Archive, Xavier", "https://rhyslwells.github.io/Data-Archive/standardised/Xaiver")
WISAM = Source(
    "E. Wisam, Why do RNNs have short-term memory? Towards Data Science",
    "https://towardsdatascience.com/a-true-story-of-a-gradient-that-vanished-in-an-rnn-56437c1eea45",
)
ILLUSTRATED = Source(
    "Illustrated Guide to LSTM's and GRU's, a copy with notes", "https://geekdaxue.co/read/duzh929@deeplearning/mdtabn"
)
