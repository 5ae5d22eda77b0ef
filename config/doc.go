// Package config is what the operator may say: options, files, environment, platform variables, their defaults and their validation.
//
// It owns the table of options (options.go and its neighbours). Everything that speaks of options comes from that one table: flags,
// environment variables, keys of the file, defaults, the help text, the reference in README.md, and the output of `postern config`.
//
// It does not own what an option does, and it does no input or output but reading the files that it was told to read. It imports
// only the standard library and the YAML parser; every other room imports it, each for the sub-struct of [Config] that bears its name.
//
// The life of a configuration: [Load] makes a table bound to an empty [Config], gathers what flags, environment and file say
// (args.go, environ.go, file.go), gives every option the value of the highest source (load.go), reads secrets from their files
// (secretfile.go), fills in the platform's variables (platform.go) and the defaults that depend on other options (defaults.go),
// checks all of it (check*.go), and reads what is told to a collector (otel.go). It reports every problem at once,
// and never repeats a value in doing so: any of them might be a secret in the wrong place.
package config
