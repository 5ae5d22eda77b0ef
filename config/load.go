package config

import (
	"flag"
	"slices"
)

// Source is where a configuration comes from. Nothing else is looked at: not the process's own arguments or environment.
type Source struct {
	Args     []string                          // without the program's name and subcommand
	Environ  []string                          // "NAME=value"; of two with one name the last counts
	ReadFile func(path string) ([]byte, error) // nil: the file system

	// Offline is for commands that neither serve nor call: secrets are not read from their files, and it is no problem that a credential, an
	// ingress or anybody who could be let in is missing, or that something cannot be served yet.
	Offline bool

	// CheckPolicy says what is wrong with the access policy of a configuration, each in one line: this package cannot read one. It has to bear
	// with a configuration that has problems of its own. nil: nobody looks.
	CheckPolicy func(*Config) []string
}

// Loaded is a configuration and how it came about.
type Loaded struct {
	Config   *Config // nil if there are problems: there is nothing to run with
	Warnings []string
	Values   []Value // every option, then the platform's variables that are set

	// SecretFiles are the files that secrets were read from, by the name of the secret option ("openid.client-secret"). [ReadSecret]
	// reads one anew.
	SecretFiles map[string]string
}

// Load reads and checks a configuration. The error is [flag.ErrHelp] if help was asked for ([Help] writes it), else a *[ProblemsError] with all
// problems; with the latter Loaded still tells values, sources and warnings, for `postern config`.
func Load(source Source) (*Loaded, error) {
	if askedForHelp(source.Args) {
		return nil, flag.ErrHelp
	}
	l := newLoader(source)
	l.gather(source.Args)
	if !l.offline {
		l.readSecretFiles()
	}
	l.fillFromPlatform()
	l.dependentDefaults()
	l.check()
	if source.CheckPolicy != nil {
		for _, problem := range source.CheckPolicy(l.c) {
			l.problem("policy-file", "%s", problem)
		}
	}
	l.readTelemetry()

	loaded := &Loaded{
		Config:      l.c,
		Warnings:    l.warnings,
		Values:      append(l.values(), openTelemetry(l.env)...),
		SecretFiles: l.secretFiles(),
	}
	if len(l.problems) > 0 {
		loaded.Config = nil
		return loaded, &ProblemsError{Problems: l.problems}
	}
	return loaded, nil
}

// loader is one call of Load.
type loader struct {
	*table
	report
	c       *Config
	env     environment
	offline bool
	read    func(string) ([]byte, error)
	sources map[*option][]candidate
}

func newLoader(source Source) *loader {
	l := &loader{c: &Config{}, env: environmentOf(source.Environ), offline: source.Offline, read: source.ReadFile, sources: map[*option][]candidate{}}
	if l.read == nil {
		l.read = ReadFile
	}
	l.table = newTable(l.c)
	return l
}

// gather collects what every source says, and gives each option what the highest one says.
func (l *loader) gather(args []string) {
	l.readArgs(args)
	l.readEnvironment()
	l.assign(l.option("config"))
	l.readConfigFile()
	for _, o := range l.options {
		l.assign(o)
	}
}

// candidate is what one source says about an option.
type candidate struct {
	origin
	set  func(*option) error
	text string // not from the file
}

func (l *loader) offer(o *option, c candidate) { l.sources[o] = append(l.sources[o], c) }

// offerText is for flags and environment.
func (l *loader) offerText(o *option, text string, from origin) {
	l.offer(o, candidate{origin: from, text: text, set: func(o *option) error { return o.fromText(text) }})
}

// assign gives an option what its highest source says. What lower sources say is not even read.
func (l *loader) assign(o *option) {
	all := l.sources[o]
	if len(all) == 0 || o.origin.rank != byDefault {
		return
	}
	best := slices.MaxFunc(all, func(a, b candidate) int { return int(a.rank) - int(b.rank) })
	if best.rank == byWonderwall {
		best = l.wonderwallValue(o, best)
	}
	o.origin = best.origin
	if err := best.set(o); err != nil {
		o.invalid = true
		if best.line > 0 {
			l.problem(o.name, "%v (%s, line %d)", err, best.label, best.line)
		} else {
			l.problem(o.name, "%v (%s)", err, best.label)
		}
	}
}

// wonderwallValue translates values that wonderwall takes and this option does not, with a warning.
func (l *loader) wonderwallValue(o *option, c candidate) candidate {
	if o.lenient == nil || slices.Contains(o.values, c.text) {
		return c
	}
	value, ok := o.lenient[lower(c.text)]
	if !ok {
		value, ok = o.lenient["*"]
	}
	if !ok {
		return c
	}
	l.warn(o.name, "a value that only wonderwall takes is read as %q (%s)", value, c.label)
	c.set = func(o *option) error { return o.fromText(value) }
	return c
}

func (l *loader) option(name string) *option {
	o, ok := l.byName[name]
	if !ok {
		panic("config: no option " + name)
	}
	return o
}

// said tells whether the operator said something about an option, be it readable or not.
func (l *loader) said(name string) bool { return l.option(name).given() }
