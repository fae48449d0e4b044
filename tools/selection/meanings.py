"""Which words mean much the same, trade by trade: everyday vocabulary, and nothing that knows a tool.

The groups come from the trades that tools are about: machines, code, mail, calendars, shops, people, travel, homes,
money, media, health. They were begun with the built-in matcher; what was added for ranking was written with the
tools of `tests/data/selection` at hand, and with what failed of the first of each two of its requests. What failed
of the others was not looked at: it stays so, or their figure says nothing any more.
"""

from typing import Final

GROUPS: Final = """
disk drive storage filesystem partition ssd | space room capacity full fill usage | memory ram swap | cpu processor
load busy heavy overload utilization | usage use used using uses consume consumption consuming | free available
availability left remaining remain vacant empty gap unused | big large huge biggest largest greatest maximum heavy
hog fattest take_up | small little smallest tiny minimum least | folder directory dir | search find lookup look_up
look_for locate grep seek hunt occurrence mention contain | log logfile syslog | line row | process running program
daemon pid task_manager | run running alive up active status crash crashing healthy state | calculate compute
evaluate work_out math arithmetic sum reckon | convert conversion change_into turn_into transform into | weather
outside outdoors rain raining rainy snow snowing sunny cloudy wind windy | temperature warm hot cold cool hotter
colder warmer cooler heat degree degrees chilly freezing thermometer | forecast prediction outlook coming upcoming
next_days next_week will_be | air pollution smog pollen | quality bad good | sun sunrise sunset dawn dusk sunlight
daylight go_down come_up | warning alert alarm danger caution | compare comparison versus vs than difference hotter
colder warmer | event appointment meeting schedule agenda calendar meet | attendee attend guest participant invite
invited coming accept | next upcoming comes_up coming_up soon | week weekly | day date | order purchase buy bought |
status state progress where arrive arrival arrived delivery deliver delivered shipped | product item article goods
sell catalogue merchandise | stock inventory supply left warehouse have_left | customer client buyer shopper |
contact phone telephone address | return refund give_back send_back bring_back take_back | policy rule terms | top
best popular bestselling favourite favorite | seller selling sell sold | currency money cash | exchange rate
conversion | price cost worth trade trading expensive fee charge how_expensive | share ticker equity | loan mortgage
credit borrow lend borrowed | payment pay installment instalment | tax vat gst duty | percent percentage rate |
interest rate | count number amount quantity total | word term | character letter | text string sentence phrase |
reverse backward backwards flip mirror | case caps uppercase lowercase capital capitalize | upper uppercase caps
capital | lower lowercase | replace substitute swap exchange instead in_place | hash checksum digest fingerprint |
language tongue idiom | detect recognize identify guess | encode encoded encoding | decode decoded decoding | note
memo jot write wrote written jot_down | read open view say says content whole | recent latest last lately newest
recently new past | change edit edited modify modified alter update updated touch | tag label tagged labelled
category | todo to_do task chore | finished complete completed done closed | prime | factor factorize factorise
break_down decompose split | divisor divide divides divisible | average mean typical | power exponent raised squared
cubed | root | random pick roll dice chance surprise draw | namespace | pod container | deployment deploy deployed |
replica copy instance | node host machine server | history previous earlier past evolution evolve | revision version
release | cluster kubernetes | translate translation say_in render | define definition mean meaning means | synonym
another_word other_word similar_word same_meaning | antonym opposite contrary | rhyme rhyming | spell spelling
spelled spelt typo misspelled | origin etymology come_from comes_from came_from derive derived stem | song track tune
| album record lp discography | artist band singer musician | genre style kind | lyrics lyric words_to words_of |
similar alike like sound_like sounds_like resemble | play played playing listen listened hear heard | often
frequently | title name called heading | author writer by_whom wrote | person people employee colleague staff
somebody coworker worker | manager boss supervisor report_to lead | team group squad crew | holiday vacation leave
absence day_off days_off time_off | away absent out off | job position vacancy opening role hire hiring | salary wage
pay | train rail railway railroad | station stop | departure depart leave leaves leaving | arrival arrive arriving |
connection route journey trip travel get_from get_to | delay late delayed punctual on_time | ticket fare | flight
plane airline fly | hotel accommodation stay night sleep | book novel | distance far how_far | duration long how_long
take_long | time hour clock | birthday birth born | age old how_old | recipe cook dish meal make_dinner | ingredient
| calorie calories nutrition protein fat carb carbohydrate | light lamp bulb | window door | battery charge charged |
energy electricity power consumption | camera video footage | humidity humid damp | device gadget | commit commits
committed committing | branch | repository repo | code source | user account login | message mail email | website
site page url link | error failure fail failing exception problem fault worrying wrong trouble | service daemon |
network internet connection | port socket | uptime up_since | size big large | backup snapshot | test check verify |
list enumerate | owner belongs_to | country nation | city town | population inhabitant people | restart reboot bounce
relaunch power_cycle | delete remove erase wipe destroy get_rid throw_away drop discard evict trash bin | empty flush
purge clear drain | cancel abort halt terminate call_off end interrupt quit stop | start launch begin boot fire_up
kick_off trigger turn_on switch_on | stop shut shut_down turn_off power_off switch_off halt | pause suspend hold |
create add new open_up set_up establish | move shift push postpone reschedule put_off bring_forward time_of | send
write tell notify inform | post publish announce share | answer reply respond write_back tell | forward pass_on
hand_on | upload put store | download fetch save grab | join merge combine put_together unite make_one | cut trim
split crop | connect link relate attach | approve accept agree confirm sign_off say_yes | reject decline refuse deny
say_no | assign hand delegate give_to | escalate raise second_level | release publish ship deploy roll_out rollout
go_live put_live | rollback roll_back go_back revert undo returns before | silence mute snooze quiet | lock block
freeze close | freeze no_release no_deployment block | unlock locked_out | enable activate switch_on turn_on toggle |
disable deactivate switch_off turn_off toggle | book reserve reservation | record log track register | summarize
summary gist condense shorten recap tldr | compare diff changed between difference | grant allow permit let
give_access | revoke withdraw take_away | rotate renew replace refresh | isolate quarantine cut_off | resize enlarge
shrink scale bigger smaller | pr prs pull_request merge_request | review reviewer have_look look_at look_over | vm
vms virtual_machine instance | db database | cert certificate tls ssl https | config configuration configmap setting
settings | k8s kubernetes | aws amazon cloud ec2 s3 | pipeline build ci workflow | artifact artefact binary apk |
endpoint route api call request | latency slow p99 p95 percentile response_time duration worst | availability slo sla
objective uptime | incident outage downtime | pager on_call on_duty duty shift | dashboard panel | chart graph
diagram plot pie histogram | screenshot snapshot image picture photo | expire expiry expires ttl run_out valid |
permission permissions access role right rights privilege | dns hostname host_name resolve record | reach reachable
ping reply | firewall let_in whitelist allowlist | logged_in login log_in sign_in signin logon anybody_on anyone_on
somebody_on who_on | issue ticket bug | comment remark | author who_wrote wrote written | grep occur occurs
occurrence matching | secret password credential credentials token | vulnerability vulnerabilities cve cves hole
weakness | query statement sql select | dump backup | timezone time_zone zone | preview would_change dry_run | lambda
serverless | event meeting appointment standup sync lunch calendar | slot free available can_meet | room hall | room
kitchen bedroom bathroom bath living_room garage hallway | invite invitation | newsletter promo mailing_list |
absence away out_of vacation off | junk spam | attachment attached attach | dm private direct_message | draft
don't_send not_send unsent | document doc docs file | slides deck presentation powerpoint | spreadsheet sheet excel
xlsx cell column | word docx | scan ocr photo | contract agreement | contact lead prospect | deal opportunity | sale
sales sell sold revenue | rep representative | invoice bill owe owed | unpaid overdue late outstanding | remind
reminder nudge chase | reimburse reimbursement expense receipt claim | coupon voucher discount percent_off | parcel
package shipment tracking delivery | article product sku item piece | basket cart | review complain complaint opinion
feedback | candidate applicant application | salary payslip paycheck earn earned | leave vacation time_off days_off
weeks_off month_off | onboard onboarding new_hire starts_in | offboard offboarding leaves last_day quit resign |
timesheet hours_work worked | taxi cab ride | visa passport enter entry | safe safety secure danger | translate
say_in how_say | translate finnish french german italian spanish portuguese english japanese chinese korean dutch
swedish polish turkish russian | dim bright brightness dark darker | heating heat radiator thermostat warm warmer |
shutter blind blinds curtain | vacuum hoover clean cleaning dust | washing laundry wash | water irrigate sprinkler
lawn garden plant | volume loud louder quieter soft softer | skip next | film movie cinema | cast actor actress star
who_plays | news headline happened happening | draw paint picture sketch | transcribe speech dictation recording
interview type_up voice audio mp3 | workout training exercise run ran jog swim sport gym | meal eat ate eaten lunch
dinner breakfast | sleep slept | pulse heart heartbeat | drug medicine medication pill tablet | doctor dentist
physician specialist practitioner dermatologist cardiologist | shop shopping supermarket grocery groceries | bitcoin
crypto cryptocurrency coin ethereum | transfer send_money wire pay send_euro send_dollar send_pound | spend spent
spending | stolen lost | malware virus infected | breach leak leaked hacked | mfa two-factor 2fa second_factor |
visitor visit traffic | ad advert advertising campaign ads | variant experiment ab | rank ranking position seo |
social linkedin twitter mastodon instagram | defect leak broken repair caretaker | canteen cafeteria | publication
study scientific | lorry truck van vehicle fleet | scrap reject rejected waste | country germany france italy spain
japan china brazil peru india canada mexico poland sweden norway portugal | arithmetic expression formula | regex
regexp regular_expression | mark flag tick star | path folder location | key identifier id | pattern expression
wildcard glob | install add apt package setup | blame annotate who_change who_wrote responsible | reason why cause
because | produce make yield generate output | feature function capability option | flag toggle switch | highest top
maximum worst | central shared common | trace span distributed follow | period range time_frame span between | public
external outside customers | type kind sort size | index indexes key | execute execution run | session connection |
restore recover bring_back get_back | prefix beginning start_with | migration migrate schema update_schema | object
item file | payload argument input | depth length size many_message | terraform infrastructure iac | lost loss drop
missing | hop hops path way | tcp port open | provider isp carrier | geolocation locate located location country |
automatic auto automatically | unsubscribe opt_out stop_receive sign_off no_more | absence reply out_of_office |
world global abroad | pin stick attach keep_top | emoji smiley icon | story ticket requirement user_story |
transition move_to state | personal my own private | timeline schedule roadmap gantt | actual real | wiki
knowledge_base confluence manual handbook | append add add_row | extract pull_out read_out | signature sign signed |
details data information | probability likely likelihood chance | profile facts overview | funding investor money
capital | support help assistance | agent clerk rep | survey questionnaire poll | question ask faq | subscribed
subscription plan member | submit hand_in file turn_in | balance remaining left_on worth | gift present voucher | org
organisation hierarchy structure | arrange organise organize plan set_up | checklist steps procedure | appraisal
review evaluation feedback performance | goal target objective aim | passenger traveller traveler person | rental
hire rent lease | citizen national passport nationality | requirement need condition | official authority government
foreign_office | storm hurricane gale thunderstorm flood severe blizzard weather | coordinates latitude longitude gps
position | pharmacy chemist drugstore | height altitude elevation tall high | sea ocean coast | colour color red blue
green | measured actual current | burglar intruder thief alarm | roof panel solar photovoltaic pv | robot robotic |
motion movement move moved walked_by | sensor detector probe | quote price | daily each_day | income profit earnings
revenue | depot portfolio holding holdings investment | bank banking | transaction booking payment movement |
standing_order regular_transfer every_month monthly | calculator compute | gain profit loss | goal save put_aside |
went go_to | playlist mix list_songs | speaker loudspeaker stereo volume | episode show | podcast broadcast radio |
length duration long | showtime screening performance | television tv telly channel programme program broadcast |
background backdrop behind | aloud read_out read_aloud voice speak | step walk walked | weight weigh heavy kilo
kilogram | interaction together combine mix with_each | diet vegan vegetarian gluten-free keto | suggest recommend
propose idea | dictionary lexicon thesaurus meaning | encyclopedia wikipedia article about | statistics median mean
deviation average quantile | choose pick select | reset new_password change_password | audit trail history who_did |
enroll sign_up register enrol join | breach leak pwned compromised | patch update level | analytics statistics
traffic numbers | funnel step drop | click clicks impression | confidence significant significance sure | won winner
win better | segment group audience | subscriber reader recipient | keyword search_term phrase | backlink
inbound_link link_to | course training class lesson workshop seminar | learn study practise practice exam | quiz test
examine question | library borrow borrowed lend loan | extend prolong longer renew | party counterparty partner |
clause paragraph section term | trademark brand logo | commercial_register company_register registry | property
real_estate flat house apartment | maintenance service servicing upkeep inspection | reception front_desk lobby guest
| visitor guest visit | menu dishes serves | toner ink cartridge | printer print | boiling melting point | chemical
substance compound molecule | gene dna genome | fuel petrol gas diesel consumption | pallet crate | faulty broken
defective error | idle standstill stopped | part spare component | pressure vibration temperature | crash crashing
crashloop broken failing fail | stuck pending waiting hang hanging blocked | node worker | eat hog consume take_up |
run_again again rerun retry try_again | green red passing passed broken state | print printed output stdout | archive
pack zip tar compress | cron scheduled schedule nightly at_night | squash merge rebase | reference usage use
where_use call | production prod live environment staging | promql metric metrics expression | ack acknowledge on_it
take_care | resolved solved fixed done finished | cover swap stand_in override substitute replacement | postgres
postgresql mysql mariadb sqlite oracle database sql | redis memcached cache | store stored value hold | column
columns field fields | lag behind keep_up delay | condition status state | cost costs pay paid spend bill | budget
limit threshold | temporary expire die | invoke function call | registrar owner whois | sender from | mailbox inbox |
calendar appointment agenda have_got have_on got_on | late time_in what_time clock | meet together | projector seats
conference whiteboard | countdown count_down timer stopwatch minute | bank_holiday holiday day_off | discussion
conversation thread debate | video_call zoom meet | text sms | file report create | hour hours spent time_on worklog
| dup duplicate same twice | sprint iteration burndown | effort points estimate | milestone deadline target | explain
describe page article | scan read photo picture | scribble jot note | phone mobile extension number | talk talked
spoke call phone | quarter q1 q2 q3 q4 | region territory responsible look_after | industry company firm business |
ready-made template canned standard | happy satisfied satisfaction nps score | end stop_plan cancel_plan
stop_subscription subscription | premium plan tariff upgrade | churn recurring mrr | arrive arrived received came |
remaining remain stock in_stock | reorder restock order_more get_more buy_more run_out supply supplier | street
postcode zip address | rate rating stars | team department unit | sick ill illness absence | accounts laptop
equipment collect | start_work starting_work begin_work | end_work finish_work go_home | birthday anniversary | gate
terminal | seat aisle boarding | platform track | pick_up drop_off | umbrella rain wet | pollen dust smog | way
directions get_from | charger charging charge | nearby near around close_by | light lights off | front_door entrance
| checking giro savings account | see movie watch film | like_this recommend similar | eat_out restaurant table |
wrong failed attempt attempts | settings changed console | publication paper article | shelf aisle bay | car van
truck lorry bus motorcycle vehicle | laptop phone tablet computer device | dryer fridge oven dishwasher heater washer
kettle appliance | rose tulip hedge tree flower tomato plant garden | shoe sneaker boot sandal jacket coat shirt
trousers jeans dress skirt sock hat product clothes | apple tesla nvidia google microsoft amazon meta intel siemens
sap share stock symbol | visa mastercard amex maestro card | jazz rock pop classical techno blues folk reggae hip-hop
metal opera music | football soccer tennis basketball cricket hockey golf rugby baseball sport | pasta rice bread
pizza soup salad banana orange cheese meat fish chicken lentil bean chickpea egg potato avocado oat yoghurt food |
milk butter flour sugar coffee tea bread cheese egg toilet_paper shopping grocery | ibuprofen aspirin paracetamol
antibiotic penicillin insulin drug | christmas easter thanksgiving halloween new_year date holiday | january february
march april may june july august september october november december month date | mile yard foot inch gallon ounce
fahrenheit celsius kelvin kilometer meter gram kilogram litre unit convert | dollar euro yen franc rupee yuan zloty
krona sterling currency | mercury venus mars jupiter saturn neptune uranus planet | nginx apache sshd postgres redis
docker mysql systemd unit service | python javascript typescript java rust go ruby kotlin language code | google bing
duckduckgo search engine
"""
"""Each up to the next bar. A word may stand in several. Entries joined with `_` are phrases, found also with other
words in between ("send it back")."""
