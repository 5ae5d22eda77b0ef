package config

// Variable is what an environment variable says to Postern.
type Variable struct {
	Option string // whose value it gives; of a platform variable with no option, its own name
	Secret bool   // its value must not be shown, nor stand where many can read it
}

// Variables are all environment variables that Postern reads, by name. Of OTEL_* they are those that can hold no secret.
func Variables() map[string]Variable {
	out := map[string]Variable{}
	for _, o := range newTable(&Config{}).options {
		v := Variable{Option: o.name, Secret: o.secret}
		for _, name := range o.variables {
			out[name] = v
		}
		for _, p := range o.presets {
			for _, name := range p.variables {
				if _, own := out[name]; !own {
					out[name] = v
				}
			}
		}
		if o.wonderwall {
			out[wonderwallPrefix+environmentName(o.name)] = v
		}
		if !o.variable {
			out[ownPrefix+environmentName(o.name)] = v
		}
	}
	for _, o := range newTable(&Config{}).options {
		if o.variable { // a name of its own is that, whatever else it fills
			out[o.name] = Variable{Option: o.name, Secret: o.secret}
		}
	}
	for name := range harmlessTelemetry() {
		if _, own := out[name]; !own {
			out[name] = Variable{Option: name}
		}
	}
	return out
}

// VariableOf is the environment variable that gives an option its value.
func VariableOf(option string) string { return ownPrefix + environmentName(option) }
