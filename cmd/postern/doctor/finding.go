package doctor

import "fmt"

// Status is how one thing is.
type Status string

// The statuses. Unchecked is what could not be tried, and why.
const (
	OK        Status = "ok"
	Warning   Status = "warning"
	Problem   Status = "problem"
	Unchecked Status = "not checked"
)

// Finding is one line of the report.
type Finding struct {
	Check  string `json:"check"` // stable name, such as "login.clock"
	Status Status `json:"status"`
	Text   string `json:"text"`
	Advice string `json:"advice,omitempty"` // what to do; empty if nothing is to be done
}

func ok(check, format string, args ...any) Finding {
	return Finding{Check: check, Status: OK, Text: fmt.Sprintf(format, args...)}
}

func warning(check, advice, format string, args ...any) Finding {
	return Finding{Check: check, Status: Warning, Text: fmt.Sprintf(format, args...), Advice: advice}
}

func problem(check, advice, format string, args ...any) Finding {
	return Finding{Check: check, Status: Problem, Text: fmt.Sprintf(format, args...), Advice: advice}
}

func unchecked(check, advice, format string, args ...any) Finding {
	return Finding{Check: check, Status: Unchecked, Text: fmt.Sprintf(format, args...), Advice: advice}
}

// judged is ok unless something was found.
func judged(found []Finding, check, format string, args ...any) []Finding {
	if len(found) > 0 {
		return found
	}
	return []Finding{ok(check, format, args...)}
}
