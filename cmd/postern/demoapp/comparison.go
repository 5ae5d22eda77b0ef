package demoapp

import "slices"

// comparison is tokens side by side, claim by claim.
type comparison struct {
	Main   []comparedClaim // what a reader should look at, in the order of a story
	Others []comparedClaim // by name
	Same   bool            // both ways brought the very same token
	Seen   bool            // the API got a token through egress, and so it can be shown
}

// comparedClaim is one claim in each of the tokens.
type comparedClaim struct {
	Name    string
	Meaning string
	Changed bool // it is not what it was in the token that the app received
	Cells   []comparedCell
}

// comparedCell is a claim in one token.
type comparedCell struct {
	Label   string // whose token
	Value   string
	Note    string
	Missing string // why there is no value; empty if there is one
	Changed bool
}

// The tokens, as the columns are headed.
const (
	columnReceived  = "The app received"
	columnExchanged = "By the token API"
	columnEgress    = "Through egress"
)

// compare puts the claims of three tokens side by side. Those of egress are nil if the API did not get one.
func compare(received, byTokenAPI, byEgress []claim) comparison {
	c := comparison{Seen: byEgress != nil, Same: byEgress != nil && slices.Equal(byTokenAPI, byEgress)}
	var names []string
	for _, one := range slices.Concat(received, byTokenAPI, byEgress) {
		names = append(names, one.Name)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if !slices.Contains(mainClaims(), name) {
			c.Others = append(c.Others, compareClaim(name, received, byTokenAPI, byEgress))
		}
	}
	for _, name := range mainClaims() {
		if slices.Contains(names, name) {
			c.Main = append(c.Main, compareClaim(name, received, byTokenAPI, byEgress))
		}
	}
	return c
}

func compareClaim(name string, received, byTokenAPI, byEgress []claim) comparedClaim {
	line := comparedClaim{Name: name}
	for _, column := range []struct {
		label  string
		claims []claim
	}{{columnReceived, received}, {columnExchanged, byTokenAPI}, {columnEgress, byEgress}} {
		cell := comparedCell{Label: column.label}
		switch i := slices.IndexFunc(column.claims, func(one claim) bool { return one.Name == name }); {
		case i >= 0:
			cell.Value, cell.Note = column.claims[i].Value, column.claims[i].Note
		case column.claims == nil:
			cell.Missing = "not seen"
		default:
			cell.Missing = "not there"
		}
		if first := line.Cells; len(first) > 0 && column.claims != nil {
			cell.Changed = cell.Value != first[0].Value || cell.Missing != first[0].Missing
			line.Changed = line.Changed || cell.Changed
		}
		line.Cells = append(line.Cells, cell)
	}
	line.Meaning = changeInWords(name, line.Changed)
	return line
}

// mainClaims are those that tell what an exchange does.
func mainClaims() []string { return []string{"aud", "azp", "azp_name", "scp", "oid", "sub", "exp"} }

// changeInWords says what to make of a claim that changed, or did not.
func changeInWords(name string, changed bool) string {
	switch {
	case name == "aud" && changed:
		return "Whom it is for. A token is for one app alone, so this app cannot just pass on the one that it received."
	case name == "azp" && !changed:
		return "The program that asked for it: this app, each time. The API's policy looks for it."
	case name == "scp" && changed:
		return "What the program may do where the token is for. Each API has its own list."
	case name == "oid" && !changed:
		return "The same person. This number holds in the whole organisation."
	case name == "sub" && changed:
		return "The same person again: Entra ID gives every app another number for them."
	case name == "exp":
		return "When it ends: the provider's choice. Postern gives it out for as long as the token that the app received holds."
	}
	return claimInWords(name)
}
