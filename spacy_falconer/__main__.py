from spacy_falconer.cli.app import main

main()
