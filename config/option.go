package config

import (
	"go.yaml.in/yaml/v3"
)

// option is one thing that the operator may say. It is bound to a field of one [Config].
type option struct {
	name     string // "openid.client-id", or a platform variable's own name
	group    string
	word     string // what kind of value: "text", "duration", "list", …
	doc      string
	fallback string // the default, as documents show it

	variable   bool     // a variable of the platform: no flag, no key, no POSTERN_ spelling
	forgiving  bool     // a value that cannot be read is a warning
	wonderwall bool     // also read as WONDERWALL_*
	secret     bool     // never shown
	list       bool     // a flag that is given again adds to it
	boolean    bool     // a flag that needs no value
	flagOnly   bool     // cannot stand in the file
	values     []string // of an enumeration

	lenient   map[string]string  // values that wonderwall takes, and what they mean here; "*" is any other
	variables []string           // platform variables that fill it, the first that is set wins
	presets   map[string]preset  // more of them, by openid.provider
	while     func(*Config) bool // they count only while this holds; nil: always

	fromText func(string) error
	fromNode func(*yaml.Node) error
	show     func() string

	secretFile *string // of a secret: the path that its "-file" option holds
	fileOf     *option // of a "-file" option: the secret

	origin  origin
	invalid bool // what was given could not be read
}

// preset is what an identity provider's name brings with it.
type preset struct {
	variables []string
	fallback  string
}

// origin says where a value came from. Sources with a higher rank win.
type origin struct {
	rank  rank
	label string // "flag", "environment variable POSTERN_X", "file PATH", "default", …
	line  int    // in the file; 0 elsewhere
}

type rank int

const (
	byDefault rank = iota
	byPlatform
	byFile
	byWonderwall
	byEnvironment
	byFlag
)

// given says whether the operator said it, rather than the platform or a default.
func (o *option) given() bool { return o.origin.rank >= byFile }

func (o *option) fromWonderwall() bool { return o.origin.rank == byWonderwall }

// ofWonderwall marks an option that wonderwall has too, under the same name and with the same meaning.
func (o *option) ofWonderwall() *option {
	o.wonderwall = true
	return o
}

// takes names values that wonderwall accepts, and what they mean here.
func (o *option) takes(lenient map[string]string) *option {
	o.lenient = lenient
	return o
}

// platform names variables of the platform that fill the option.
func (o *option) platform(variables ...string) *option {
	o.variables = variables
	return o
}

// preset names variables (and a default, if not empty) that count while openid.provider is the given one.
func (o *option) preset(provider, fallback string, variables ...string) *option {
	if o.presets == nil {
		o.presets = map[string]preset{}
	}
	o.presets[provider] = preset{variables: variables, fallback: fallback}
	return o
}

// onlyWhile restricts the variables of [option.platform].
func (o *option) onlyWhile(condition func(*Config) bool) *option {
	o.while = condition
	return o
}

// defaults describes a default that depends on other options; defaults.go sets it.
func (o *option) defaults(text string) *option {
	o.fallback = text
	return o
}

// table is all options in the order in which documents show them.
type table struct {
	options []*option
	byName  map[string]*option
	current string   // group that is being defined
	groups  []string // in order

	// values that no room sees
	config       string // path of the file
	upstreamIP   string // with upstreamPort it becomes Config.Upstream.Host
	upstreamPort int

	providers []platformProvider
}

func newTable(c *Config) *table {
	t := &table{byName: map[string]*option{}}
	t.define(c)
	return t
}

func (t *table) group(title string) {
	t.current = title
	t.groups = append(t.groups, title)
}

func (t *table) add(o *option) *option {
	if _, twice := t.byName[o.name]; twice {
		panic("config: option " + o.name + " is defined twice")
	}
	o.group = t.current
	o.origin = origin{label: "default"}
	t.byName[o.name] = o
	t.options = append(t.options, o)
	return o
}

// bind makes an option of any kind. The default is set at once.
func bind[T any](t *table, field *T, name string, fallback T, k kind[T], doc string) *option {
	*field = fallback
	o := &option{name: name, word: k.word, doc: doc, fallback: k.format(fallback), list: k.list, boolean: k.boolean, secret: k.secret}
	o.show = func() string { return k.format(*field) }
	o.fromText = func(text string) error {
		v, err := k.parse(text)
		if err == nil {
			*field = v
		}
		return err
	}
	o.fromNode = func(n *yaml.Node) error {
		read := k.node
		if read == nil {
			read = scalarOf(k.parse)
		}
		v, err := read(n)
		if err == nil {
			*field = v
		}
		return err
	}
	return t.add(o)
}

// environmentName is the option's spelling as a variable, after its prefix.
func environmentName(name string) string {
	out := []byte(name)
	for i, b := range out {
		switch {
		case b == '.' || b == '-':
			out[i] = '_'
		case 'a' <= b && b <= 'z':
			out[i] = b - 'a' + 'A'
		}
	}
	return string(out)
}
