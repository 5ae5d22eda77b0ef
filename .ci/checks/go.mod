module postern/ci/checks

go 1.26.0
