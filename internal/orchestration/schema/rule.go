package schema

import (
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// ruleOf says which rule of a schema is broken, in the schema's words alone:
// nothing of what breaks it is told, except of what type it is.
func ruleOf(broken jsonschema.ErrorKind) string {
	switch k := broken.(type) {
	case *kind.Type:
		return fmt.Sprintf("it is of type %s, and must be %s", k.Got, strings.Join(k.Want, " or "))
	case *kind.Required:
		return "it lacks " + quotedNames(k.Missing)
	case *kind.Dependency:
		return "it lacks " + quotedNames(k.Missing)
	case *kind.DependentRequired:
		return "it lacks " + quotedNames(k.Missing)
	case *kind.AdditionalProperties:
		return "it has members that the schema does not know"
	case *kind.Enum:
		return shortly(fmt.Sprintf("it must be one of %v", k.Want), maxDetail)
	case *kind.Const:
		return shortly(fmt.Sprintf("it must be %v", k.Want), maxDetail)
	case *kind.Pattern:
		return shortly("it does not match the pattern "+k.Want, maxDetail)
	case *kind.Format:
		return shortly("it is not in the format "+k.Want, maxDetail)
	case *kind.MinLength:
		return fmt.Sprintf("it is shorter than %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("it is longer than %d characters", k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("it has fewer than %d items", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("it has more than %d items", k.Want)
	case *kind.FalseSchema:
		return "nothing may stand there"
	}
	if path := broken.KeywordPath(); len(path) > 0 {
		return shortly("it breaks the schema's "+path[0], maxDetail)
	}
	return "it does not satisfy the schema"
}

func quotedNames(names []string) string {
	const most = 20
	text := make([]string, 0, len(names))
	for i, name := range names {
		if i == most {
			text = append(text, fmt.Sprintf("and %d more", len(names)-most))
			break
		}
		text = append(text, fmt.Sprintf("%q", shortly(name, maxDetail)))
	}
	return strings.Join(text, ", ")
}
