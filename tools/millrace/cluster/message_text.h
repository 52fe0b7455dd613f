// Messages of the API as JSON and YAML, by their fields' names, with fields that are not set.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/status.h"

namespace google::protobuf {
class Message;
}

namespace millrace {

// As the API has them: 64-bit numbers are strings.
std::string ToJson(const google::protobuf::Message& message);      // for people; ends in a newline
std::string ToJsonLine(const google::protobuf::Message& message);  // without one
// Numbers are numbers; texts of several lines are blocks. Ends in a newline.
std::string ToYaml(const google::protobuf::Message& message);

// Fields that are not known are passed over: a coordinator may be newer. External error
// "bad_answer".
Status ParseJson(std::string_view json, google::protobuf::Message* into);

}  // namespace millrace
